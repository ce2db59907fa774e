# Sourced by scripts/run and scripts/test: brings what is missing, quickly when nothing is. Not a command.
# Everything is said on stderr, so that the output of a command stays its own. Works in bash 3.2 (macOS).

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv="$top/.venv"

say() { printf '%s\n' "$*" >&2; }

stop() {
  say "error: $1"
  [ $# -lt 2 ] || say "  type: $2"
  exit 1
}

# Run a noisy command; show its output only when it fails.
quietly() {
  local log status=0
  log=$(mktemp "${TMPDIR:-/tmp}/ao-setup.XXXXXX")
  "$@" >"$log" 2>&1 </dev/null || status=$?
  [ "$status" = 0 ] || tail -n 40 "$log" >&2
  rm -f "$log"
  return "$status"
}

# --- programs of the system ---------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif [ -t 2 ] && [ -r /dev/tty ]; then
    sudo "$@" </dev/tty
  else
    sudo -n "$@"
  fi
}

may_be_root() {
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null 2>&1 || return 1
  # On a terminal sudo may ask for the password; elsewhere it must not have to.
  { [ -t 2 ] && [ -r /dev/tty ]; } || sudo -n true 2>/dev/null
}

brew_path() {
  local place
  for place in brew /opt/homebrew/bin/brew /usr/local/bin/brew; do
    command -v "$place" 2>/dev/null && return 0
  done
  return 1
}

# The command a person can type to get these packages.
install_command() {
  if [ "$(uname -s)" = Darwin ]; then
    printf 'brew install %s' "$*"
  elif command -v apt-get >/dev/null 2>&1; then
    printf 'sudo apt-get update && sudo apt-get install -y %s' "$*"
  else
    printf 'install %s with the package manager of this system' "$*"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends "$@"
}

apt_updated=""
# Package lists may be missing (containers) or old, so a failed install is tried again after one update.
apt_install() {
  if [ -n "$apt_updated" ]; then
    quietly apt_get install "$@"
    return
  fi
  apt_get install "$@" >/dev/null 2>&1 </dev/null && return 0
  say "  apt-get update"
  apt_updated=yes
  quietly apt_get update || say "  apt-get update failed; going on with the lists there are"
  quietly apt_get install "$@"
}

install_packages() {
  local brew
  if [ "$(uname -s)" = Darwin ]; then
    brew=$(brew_path) || return 1
    say "installing with brew: $*"
    quietly "$brew" install "$@" || return 1
    PATH="$(dirname "$brew"):$PATH"
    export PATH
  elif command -v apt-get >/dev/null 2>&1 && may_be_root; then
    say "installing with apt-get: $*"
    apt_install "$@"
  else
    return 1
  fi
}

need_programs() {
  local missing=""
  command -v tmux >/dev/null 2>&1 || missing="tmux"
  command -v git >/dev/null 2>&1 || missing="${missing:+$missing }git"
  [ -n "$missing" ] || return 0
  # shellcheck disable=SC2086  # two package names, on purpose two words
  install_packages $missing || stop "$missing is needed and could not be installed" "$(install_command $missing)"
  hash -r
}

has_mosquitto() {
  local place
  # Debian and Homebrew keep it in an sbin folder that is not on everybody's PATH.
  for place in mosquitto /usr/sbin/mosquitto /opt/homebrew/sbin/mosquitto /usr/local/sbin/mosquitto; do
    command -v "$place" >/dev/null 2>&1 && return 0
  done
  return 1
}

want_mosquitto() {
  has_mosquitto || install_packages mosquitto ||
    say "warning: mosquitto (the message broker) is not installed; going on without it. To get it: $(install_command mosquitto)"
}

# --- Python ---------------------------------------------------------------------------------------------

# Debian ships a python3 without ensurepip, and pyenv has shims that run nothing: only trying tells.
usable_python() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
  local name
  if [ -n "${AGENTORCHESTR_PYTHON:-}" ]; then
    usable_python "$AGENTORCHESTR_PYTHON" || stop "AGENTORCHESTR_PYTHON=$AGENTORCHESTR_PYTHON is no Python 3.11 or newer with venv"
    printf '%s' "$AGENTORCHESTR_PYTHON"
    return 0
  fi
  for name in python3.13 python3.12 python3.11 python3; do
    if usable_python "$name"; then
      command -v "$name"
      return 0
    fi
  done
  return 1
}

python_packages() {
  local version
  if [ "$(uname -s)" = Darwin ]; then
    printf 'python@3.13'
    return
  fi
  if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || ! command -v apt-cache >/dev/null; then
    printf 'python3 python3-venv'
    return
  fi
  # Nothing new enough is installed: the system's default if that is, else its newest extra version.
  for version in 3.13 3.12 3.11; do
    if apt-cache show "python$version-venv" >/dev/null 2>&1; then
      printf 'python%s python%s-venv' "$version" "$version"
      return
    fi
  done
  printf 'python3 python3-venv'
}

need_python() {
  local packages
  python=$(find_python) && return 0
  [ -z "${AGENTORCHESTR_PYTHON:-}" ] || exit 1
  packages=$(python_packages)
  # shellcheck disable=SC2086  # several package names
  install_packages $packages || stop "Python 3.11 or newer (with venv) is needed" "$(install_command $packages)"
  hash -r
  python=$(find_python) || stop "no Python 3.11 or newer was found after installing $packages" "$(install_command "$packages")"
}

# --- the private environment ------------------------------------------------------------------------

# One set-up at a time: the second waits, then finds all done.
lock_venv() {
  local owner told=""
  until mkdir "$venv/.setting-up" 2>/dev/null; do
    owner=$(cat "$venv/.setting-up/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$venv/.setting-up"
      continue
    fi
    [ -n "$told" ] || say "waiting for another set-up of this folder (if there is none, remove $venv/.setting-up)"
    told=yes
    sleep 1
  done
  echo $$ >"$venv/.setting-up/pid"
  trap 'rm -rf "$venv/.setting-up"' EXIT
}

unlock_venv() {
  rm -rf "$venv/.setting-up"
  trap - EXIT
}

# What the environment was made from: the project file and the place, since scripts in it hold its path.
wanted_stamp() { printf '%s %s' "$(cksum <"$top/pyproject.toml")" "$top"; }

is_installed() {
  [ -x "$venv/bin/python" ] && [ -f "$venv/.installed-$1" ] && [ "$(cat "$venv/.installed-$1")" = "$(wanted_stamp)" ]
}

make_venv() {
  local known
  known=$(cat "$venv/.place" 2>/dev/null || true)
  if [ "$known" = "$top" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    return 0
  fi
  need_python
  say "making $venv with $("$python" --version)"
  # Not "venv --clear": it would also remove our lock. A half-made environment is simply made anew.
  rm -rf "$venv/bin" "$venv/lib" "$venv/lib64" "$venv/include" "$venv/pyvenv.cfg" "$venv"/.installed-*
  quietly "$python" -m venv "$venv" || stop "the Python environment could not be made in $venv"
  # Newer Pythons write this file themselves; it keeps git status clean.
  printf '*\n' >"$venv/.gitignore"
  printf '%s' "$top" >"$venv/.place"
}

# need_venv base, or with one of our extras: need_venv test | need_venv bench
need_venv() {
  local what="$top"
  is_installed "$1" && return 0
  mkdir -p "$venv"
  printf '*\n' >"$venv/.gitignore"
  lock_venv
  if ! is_installed "$1"; then
    [ "$1" = base ] || what="$top[$1]"
    make_venv
    say "installing agentorchestr and what it needs into $venv"
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --editable "$what" ||
      stop "pip could not install the packages (see above)" "$venv/bin/python -m pip install --editable '$what'"
    want_mosquitto
    wanted_stamp >"$venv/.installed-base"
    [ "$1" = base ] || wanted_stamp >"$venv/.installed-$1"
  fi
  unlock_venv
}
