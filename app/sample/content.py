"""Bodies of the kinds of message, shaped as WeCom's archive hands them out.

Nothing of a medium exists beyond its description: ids of media begin with `sample-` and lead nowhere.
"""

import datetime as dt
import json
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

from app.sample.roster import CORP_NAME, SHANGHAI

_HOUR: Final = 3600
_PLACE: Final = (120.512, 30.517)  # longitude, latitude of the invented address
_SITE: Final = "https://sample.example"


class Draft(NamedTuple):
    """What a body is made from: the parts written in the scene, the moment (s), the sender's id, the room."""

    parts: list[str]
    at: int
    sender: str
    room_name: str
    names: list[str]
    rng: Random

    @property
    def head(self) -> str:
        """The first part."""
        return self.parts[0]


Body: TypeAlias = dict[str, Any]


def body(kind: str, draft: Draft) -> Body:
    """Make the body of a message of `kind`; a text has none."""
    return _BODIES[kind](draft) if kind in _BODIES else {}


def _medium(draft: Draft) -> Body:
    digest = draft.rng.getrandbits(128)
    return {"md5sum": f"{digest:032x}", "sdkfileid": f"sample-{draft.rng.getrandbits(160):040x}"}


def _image(draft: Draft) -> Body:
    return {"filesize": draft.rng.randint(20_000, 900_000)} | _medium(draft)


def _voice(draft: Draft) -> Body:
    seconds = int(draft.head)
    return {"voice_size": seconds * 700, "play_length": seconds} | _medium(draft)


def _video(draft: Draft) -> Body:
    seconds = int(draft.head)
    return {"filesize": seconds * 140_000, "play_length": seconds} | _medium(draft)


def _emotion(draft: Draft) -> Body:
    size = draft.rng.randint(30_000, 600_000)
    return {"type": 1, "width": 290, "height": 290, "imagesize": size} | _medium(draft)


def _file(draft: Draft) -> Body:
    name = draft.head
    return {
        "filename": name,
        "fileext": name.rpartition(".")[2],
        "filesize": draft.rng.randint(40_000, 4_000_000),
    } | _medium(draft)


def _shared_file(draft: Draft) -> Body:
    size = draft.rng.randint(40_000, 4_000_000)
    call = f"gr{draft.rng.getrandbits(128):032x}"
    return {"voipid": call, "filename": draft.head, "filesize": size} | _medium(draft)


def _card(draft: Draft) -> Body:
    return {"corpname": CORP_NAME, "userid": draft.head}


def _location(draft: Draft) -> Body:
    longitude, latitude = _PLACE
    return {
        "longitude": longitude,
        "latitude": latitude,
        "address": "样例市样例区样例路1号样例大厦",
        "title": draft.head,
        "zoom": 15,
    }


def _link(draft: Draft) -> Body:
    title, description = draft.parts
    page = f"{_SITE}/article/{draft.rng.randint(100, 999)}"
    return {
        "title": title,
        "description": description,
        "link_url": page,
        "image_url": f"{page}.png",
    }


def _mini_program(draft: Draft) -> Body:
    return {
        "title": draft.head,
        "description": "测评有效期十二个月",
        "username": "gh_000000sample@app",
        "displayname": "样例财富",
        "appid": "wx000000000sample0",
        "pagepath": "pages/risk/index.html",
    }


def _nested(text: str) -> str:
    return json.dumps({"content": text}, ensure_ascii=False)


def _forwarded(draft: Draft) -> Body:
    title, *lines = draft.parts
    items = [
        {
            "type": "ChatRecordText",
            "msgtime": draft.at - 600 + 20 * number,
            "content": _nested(line),
            "from_chatroom": False,
        }
        for number, line in enumerate(lines)
    ]
    return {"title": title, "item": items}


def _mixed(draft: Draft) -> Body:
    picture = json.dumps(_image(draft), ensure_ascii=False)
    return {
        "item": [
            {"type": "text", "content": _nested(draft.head)},
            {"type": "image", "content": picture},
        ]
    }


def _note(draft: Draft) -> Body:
    return {"items": [{"msg_type": "text", "content": _nested(draft.head)}]}


def _to_do(draft: Draft) -> Body:
    return {"title": f"{CORP_NAME}的聊天记录", "content": draft.head}


def _vote(draft: Draft) -> Body:
    title, *items = draft.parts
    return {"votetitle": title, "voteitem": items, "votetype": 101, "voteid": str(draft.at)}


def _form(draft: Draft) -> Body:
    title, *questions = draft.parts
    details = [
        {"id": number, "ques": question, "type": "Text"}
        for number, question in enumerate(questions, start=1)
    ]
    return {
        "room_name": draft.room_name,
        "creator": draft.sender,
        "create_time": dt.datetime.fromtimestamp(draft.at, SHANGHAI).strftime("%Y-%m-%d %H:%M:%S"),
        "title": title,
        "details": details,
    }


def _red_packet(draft: Draft) -> Body:
    return {"type": 2, "wish": draft.head, "totalcnt": 10, "totalamount": 20_000}


def _outside_red_packet(draft: Draft) -> Body:
    return {"type": 1, "wish": draft.head, "totalcnt": 1, "totalamount": 18_800}


def _later(draft: Draft) -> Body:
    start = draft.at - draft.at % _HOUR + draft.rng.randint(2, 48) * _HOUR
    return {"starttime": start, "endtime": start + _HOUR}


def _meeting(draft: Draft) -> Body:
    topic, remarks = draft.parts
    number = draft.rng.randint(10**9, 10**10)
    return {"topic": topic, "address": "", "remarks": remarks, "meetingid": number} | _later(draft)


def _meeting_notice(draft: Draft) -> Body:
    number = draft.rng.randint(10**9, 10**10)
    return {"meeting_id": number, "notification_type": 1, "content": draft.head}


def _calendar(draft: Draft) -> Body:
    title, place, remarks = draft.parts
    names = {"creatorname": draft.sender, "attendeename": draft.names}
    return {"title": title, "place": place, "remarks": remarks} | names | _later(draft)


def _recorded_call(draft: Draft) -> Body:
    call = f"gr{draft.rng.getrandbits(128):032x}"
    return {"voiceid": call, "endtime": draft.at + draft.rng.randint(300, 2400)} | _medium(draft)


def _call(draft: Draft) -> Body:
    return {"callduration": int(draft.head), "invitetype": 2}


def _channel(draft: Draft) -> Body:
    return {"feed_type": 4, "sph_name": "样例财富", "feed_desc": draft.head}


def _document(draft: Draft) -> Body:
    page = f"{_SITE}/doc/{draft.rng.getrandbits(48):012x}"
    return {"title": draft.head, "link_url": page, "doc_creator": draft.sender}


def _drive_file(draft: Draft) -> Body:
    return {"filename": draft.head, "url": f"{_SITE}/drive/{draft.rng.getrandbits(48):012x}"}


def _markdown(draft: Draft) -> Body:
    return {"content": draft.head}


def _news(draft: Draft) -> Body:
    title, description = draft.parts
    page = f"{_SITE}/news/{draft.rng.randint(100, 999)}"
    entry = {"title": title, "description": description, "url": page, "picurl": f"{page}.png"}
    return {"item": [entry]}


def _chain(draft: Draft) -> Body:
    return {"solitaire_type": 101, "solitaire_content": f"{draft.head}\n1. {draft.sender} 2位"}


def _consent(draft: Draft) -> Body:
    return {"userid": draft.sender, "agree_time": draft.at * 1000}


def _refusal(draft: Draft) -> Body:
    return {"userid": draft.sender, "disagree_time": draft.at * 1000}


def _switch(draft: Draft) -> Body:
    return {"time": draft.at * 1000, "user": draft.sender}


_BODIES: Final[dict[str, Callable[[Draft], Body]]] = {
    "agree": _consent,
    "calendar": _calendar,
    "card": _card,
    "chatrecord": _forwarded,
    "collect": _form,
    "disagree": _refusal,
    "docmsg": _document,
    "emotion": _emotion,
    "external_redpacket": _outside_red_packet,
    "file": _file,
    "image": _image,
    "link": _link,
    "location": _location,
    "markdown": _markdown,
    "meeting": _meeting,
    "meeting_notification": _meeting_notice,
    "meeting_voice_call": _recorded_call,
    "mixed": _mixed,
    "news": _news,
    "note": _note,
    "qydiskfile": _drive_file,
    "redpacket": _red_packet,
    "solitaire": _chain,
    "sphfeed": _channel,
    "switch": _switch,
    "todo": _to_do,
    "video": _video,
    "voice": _voice,
    "voip_doc_share": _shared_file,
    "voiptext": _call,
    "vote": _vote,
    "weapp": _mini_program,
}
