"""What the Responses mock keeps of its answers, as the real API does unless a request says ``store: false``.

Requests are made whole here before they are judged: the items of the answer they go on from stand before their own,
those they refer to in the place of the references. What is not kept stays as it came, for the rules to refuse.
"""

from __future__ import annotations

from collections import OrderedDict

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses.history import listed

from .complaint import Json

PATH = "/v1/responses/"
MAX_ANSWERS = 1000
MAX_BYTES = 64 << 20
"""Of all answers and what they answer; the oldest go first."""

_KEPT = ("completed", "incomplete")


class StoredAnswers:
    """Answers by their ids, and the items of their output by theirs."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._conversations: dict[str, tuple[list[bytes], list[bytes]]] = {}
        self._items: dict[str, bytes] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, id_: object) -> bool:
        """Whether an item of this id is kept."""
        return id_ in self._items

    def whole(self, body: Json) -> Json:
        """``body`` with what it goes on from and refers to, as far as that is kept."""
        if not isinstance(body, dict):
            return body
        own = body.get("input")
        if isinstance(own, list):
            body = {**body, "input": [self._put_back(item) for item in own]}
        previous = body.get("previous_response_id")
        found = self._conversations.get(previous) if isinstance(previous, str) else None
        if found is None:
            return body
        if isinstance(own, str):
            own = [{"role": "user", "content": own}]
        elif own is None or isinstance(own, list):
            own = body.get("input") or []
        else:
            return body
        body = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**body, "input": [*(json.loads(item) for part in found for item in part), *own]}

    def _put_back(self, item: Json) -> Json:
        if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference":
            return item
        id_ = item.get("id")
        found = self._items.get(id_) if isinstance(id_, str) and "role" not in item else None
        return item if found is None else json.loads(found)

    def keep(self, body: Json, response: bytes) -> None:
        """Keep ``response``, the answer to ``body``, which was made whole; one that failed is not kept."""
        answer = json.loads(response) if response else {}
        if answer.get("status") not in _KEPT:
            return
        asked = body.get("input") or []
        if isinstance(asked, str):
            asked = [{"role": "user", "content": asked}]
        said = [json.encode(item) for item in asked]
        made = [json.encode(item) for item in answer["output"]]
        self._forget(answer["id"])
        self._answers[answer["id"]] = response
        self._conversations[answer["id"]] = (said, made)
        self._items.update((json.loads(item)["id"], item) for item in made)
        self._size += _size(response, said, made)
        while len(self._answers) > MAX_ANSWERS or self._size > MAX_BYTES:
            self._forget(next(iter(self._answers)))

    def _forget(self, id_: str) -> bool:
        response = self._answers.pop(id_, None)
        if response is None:
            return False
        said, made = self._conversations.pop(id_)
        self._size -= _size(response, said, made)
        for item in made:
            self._items.pop(json.loads(item)["id"], None)
        return True

    def answer(self, method: str, path: str) -> bytes | ir.Error | None:
        """The answer to a request about what is kept; None for a path that is about something else."""
        id_, _, about = path.removeprefix(PATH).partition("/")
        if not path.startswith(PATH) or method not in ("GET", "DELETE") or about not in ("", "input_items"):
            return None
        response = self._answers.get(id_)
        if response is None or (about and method == "DELETE"):
            return ir.Error(ir.ErrorKind.NOT_FOUND, f"Response with id '{id_[:80]}' not found.")
        if about:
            items = [json.loads(item) for item in reversed(listed(self._conversations[id_][0]))]
            ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {}
            return json.encode({"object": "list", "data": items, "has_more": False, **ends})
        if method == "DELETE":
            self._forget(id_)
            return json.encode({"id": id_, "object": "response", "deleted": True})
        return response


def _size(response: bytes, said: list[bytes], made: list[bytes]) -> int:
    return len(response) + sum(map(len, said)) + sum(map(len, made)) + 200 * (len(said) + len(made))
