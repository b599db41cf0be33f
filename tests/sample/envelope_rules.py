"""The contract's rules for an envelope (section 3) and WeCom's bodies, written down once more for these tests."""

import datetime as dt
from typing import Any

ALWAYS = {
    *("corp", "source", "source_msg_id", "source_seq", "sent_at", "conversation", "sender"),
    *("recipients", "kind", "action", "content", "recalls", "raw"),
}

# The members of each kind's body (WeCom's archive); a text has its words in `text`.
BODIES = {
    "text": set(),
    "image": {"md5sum", "filesize", "sdkfileid"},
    "revoke": {"pre_msgid"},
    "agree": {"userid", "agree_time"},
    "disagree": {"userid", "disagree_time"},
    "voice": {"md5sum", "voice_size", "play_length", "sdkfileid"},
    "video": {"md5sum", "filesize", "play_length", "sdkfileid"},
    "card": {"corpname", "userid"},
    "location": {"longitude", "latitude", "address", "title", "zoom"},
    "emotion": {"type", "width", "height", "imagesize", "md5sum", "sdkfileid"},
    "file": {"filename", "fileext", "filesize", "md5sum", "sdkfileid"},
    "link": {"title", "description", "link_url", "image_url"},
    "weapp": {"title", "description", "username", "displayname", "appid", "pagepath"},
    "chatrecord": {"title", "item"},
    "todo": {"title", "content"},
    "vote": {"votetitle", "voteitem", "votetype", "voteid"},
    "collect": {"room_name", "creator", "create_time", "title", "details"},
    "redpacket": {"type", "wish", "totalcnt", "totalamount"},
    "external_redpacket": {"type", "wish", "totalcnt", "totalamount"},
    "meeting": {"topic", "starttime", "endtime", "address", "remarks", "meetingid"},
    "meeting_notification": {"meeting_id", "notification_type", "content"},
    "switch": {"time", "user"},
    "docmsg": {"title", "link_url", "doc_creator"},
    "markdown": {"content"},
    "news": {"item"},
    "calendar": {
        "title",
        "creatorname",
        "attendeename",
        "starttime",
        "endtime",
        "place",
        "remarks",
    },
    "mixed": {"item"},
    "meeting_voice_call": {"voiceid", "endtime", "md5sum", "sdkfileid"},
    "voip_doc_share": {"voipid", "filename", "md5sum", "filesize", "sdkfileid"},
    "sphfeed": {"feed_type", "sph_name", "feed_desc"},
    "voiptext": {"callduration", "invitetype"},
    "qydiskfile": {"filename", "url"},
    "solitaire": {"solitaire_type", "solitaire_content"},
    "note": {"items"},
}

_ACTIONS = {
    "revoke": "recall",
    "switch": "switch",
    "agree": "agree",
    "disagree": "disagree",
}


def check(envelope: dict[str, Any]) -> None:
    """Fail with the first rule the envelope breaks."""
    kind = envelope["kind"]
    assert set(envelope) - {"text"} == ALWAYS
    assert ("text" in envelope) == (kind == "text")
    assert all(0 < len(envelope[key]) <= 256 for key in ("corp", "source", "source_msg_id"))
    assert dt.datetime.fromisoformat(envelope["sent_at"]).utcoffset() == dt.timedelta(hours=8)
    assert set(envelope["content"]) == BODIES[kind]
    assert envelope["action"] == _ACTIONS.get(kind, "send")
    assert (envelope["recalls"] is not None) == (kind == "revoke")
    assert envelope["raw"] is None
    check_conversation(envelope)


def check_conversation(envelope: dict[str, Any]) -> None:
    """Fail where the parties do not fit the conversation."""
    conversation, sender, recipients = (
        envelope["conversation"],
        envelope["sender"],
        envelope["recipients"],
    )
    assert all(set(party) == {"type", "id", "name"} for party in (sender, *recipients))
    assert {party["type"] for party in (sender, *recipients)} <= {"employee", "client", "robot"}
    assert all(party["id"] and party["name"] for party in (sender, *recipients))
    assert sender not in recipients
    if conversation["kind"] == "group":
        assert conversation["id"]
        assert "样例" in conversation["name"]
        assert len(recipients) > 1
    else:
        assert conversation == {"kind": "single", "id": None, "name": None}
        assert len(recipients) == (0 if envelope["kind"] == "switch" else 1)
