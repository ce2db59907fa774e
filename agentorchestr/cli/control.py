"""The small client that talks to a living supervisor on its loopback address."""

import httpx

from agentorchestr.cli.product import Shell

ANSWER_S = 5.0


class Control:
    """Asks the supervisor of one session; every question may go unanswered."""

    def __init__(self, shell: Shell, session_id: str) -> None:
        self._product, self._paths, self._id = shell.product, shell.paths, session_id
        self._endpoint: tuple[str, str] | None = None
        # Proxies of the environment have no business with a loopback address.
        self._client = httpx.Client(trust_env=False, timeout=ANSWER_S)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def wait_for_events(self, *, after: int, wait_s: float) -> bool:
        """Wait on the supervisor for facts after *after*, at most *wait_s*; False when it did not answer."""
        params = {"after": str(after), "wait_s": str(wait_s)}
        return self._ask("GET", "/control/events", params=params, timeout_s=wait_s + ANSWER_S)

    def stop(self) -> bool:
        """Ask the supervisor to end the session; False when it did not answer."""
        return self._ask("POST", "/control/stop", params={}, timeout_s=ANSWER_S)

    def pause(self) -> bool:
        """Ask the supervisor to pause the session; False when it did not answer."""
        return self._ask("POST", "/control/pause", params={}, timeout_s=ANSWER_S)

    def _ask(self, method: str, path: str, *, params: dict[str, str], timeout_s: float) -> bool:
        # Looked up once: that reads the whole journal. A supervisor that came anew may have another port.
        self._endpoint = self._endpoint or self._product.control_endpoint(self._paths, self._id)
        if self._endpoint is None:
            return False
        url, token = self._endpoint
        try:
            answer = self._client.request(
                method,
                url.rstrip("/") + path,
                params=params,
                headers={"Authorization": f"Bearer {token}"},
                timeout=timeout_s,
            )
        except httpx.HTTPError:
            self._endpoint = None
            return False
        if not answer.is_success:
            self._endpoint = None
        return answer.is_success
