"""The steps of one package: each leaves a whole file behind, so that whoever goes on skips it."""

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.evidence import bag, custody, gaps, logs, papers, proofs, records, selection, views
from app.evidence.exports import One
from app.evidence.records import Withheld
from app.evidence.selection import Place, Plan
from app.evidence.signer import Signer
from app.evidence.statement import Facts, Heads, envelope, statement
from app.foundation.database import Database, chunks
from app.foundation.errors import Unavailable
from app.foundation.files import make_folder, sync_folder
from app.foundation.keys import KeyRing
from app.people import corp_codes

PART = 10_000  # records in one file
READ = 500  # records looked up at once


class Tools(NamedTuple):
    """What packages are made with; `origin` is the installation's name in its logs."""

    db: Database
    keyring: KeyRing
    signer: Signer
    folder: Path
    origin: str
    zone: ZoneInfo

    def package(self, found: One) -> Path:
        """Where the finished package stands."""
        return self.folder / found.id / f"{found.file_name}.zip"

    def signature(self, found: One) -> Path:
        """Where the signature over the whole package stands."""
        return self.folder / found.id / f"{found.file_name}.zip.dsse.json"


class Unit(NamedTuple):
    """One step: `target` is there when it is done; `weight` counts records towards the progress."""

    target: Path
    work: Callable[[], None]
    weight: int = 0


class Assembly:
    """One package under way in its working folder: `plan.*` beside `bag/`, which becomes the package."""

    def __init__(self, tools: Tools, found: One, heads: Heads, work: Path) -> None:
        self.tools, self.found, self.heads, self.work = tools, found, heads, work
        self.db, self.signer = tools.db, tools.signer
        self.bag = work / "bag"
        with self.db.read() as connection:
            self.corp = corp_codes(connection)[found.corp_id]
        self.redactions = {int(seq): note for seq, note in found.asked["redactions"].items()}
        self.total = found.total * 2
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """The selection, read from its file."""
        if self._plan is None:
            self._plan = selection.unpack(
                (self.work / "plan.json").read_bytes(), (self.work / "plan.seqs").read_bytes()
            )
        return self._plan

    def units(self) -> Iterator[Unit]:
        """Every step in order."""
        yield Unit(self.work / "plan.json", self._make_plan)
        count = (len(self.plan.seqs) + PART - 1) // PART
        for number in range(1, count + 1):
            weight = min(PART, len(self.plan.seqs) - (number - 1) * PART)
            target = self.work / f"records-{number:04d}.done"
            yield Unit(target, partial(self._write_part, number), weight)
        proof = self.bag / "data/30-proofs"
        yield Unit(proof / "consistency.jsonl", self._write_proofs)
        for number, group in enumerate(views.groups(self.plan.places), 1):
            target = self.work / f"views-{number:04d}.done"
            work = partial(self._write_views, number, group)
            yield Unit(target, work, sum(place.included for place in group))
        yield Unit(self.work / "custody.json", self._write_custody)
        yield Unit(self.work / "papers.done", self._write_papers)

    def finish(self) -> str:
        """Close the bag and pack it; gives the package's SHA-256."""
        withheld = self._withheld()
        told = self._statement(withheld)
        info = {
            "External-Identifier": self.found.id,
            "Bagging-Date": f"{self._decided:%Y-%m-%d}",
            "Source-Organization": self.corp,
            "External-Description": "Liuhen evidence package",
            "Bag-Software-Agent": papers.AGENT,
        }
        files = bag.close(self.bag, info)
        bag.seal(self.bag, envelope({**told, "files": files}, self.signer, self._vkeys()))
        target = self.tools.package(self.found)
        aside = target.with_suffix(".part")
        bag.pack(self.bag, aside)
        digest = bag.digest_of(aside)
        outer = {
            "version": 1,
            "package": target.name,
            "sha256": digest,
            "export": self.found.id,
        }
        self.tools.signature(self.found).write_text(
            envelope(outer, self.signer, self._vkeys()), encoding="utf-8"
        )
        os.replace(aside, target)  # noqa: PTH105  (atomic, both in one folder)
        sync_folder(target.parent)
        return digest

    @property
    def _decided(self) -> Any:
        return self.found.decided_at or self.found.requested_at

    def _vkeys(self) -> dict[str, str]:
        statement_name = f"{self.tools.origin}/export"
        return {
            "statement": self.signer.vkey(statement_name),
            "records": self.signer.vkey(self.heads.records_origin),
            "audit": self.signer.vkey(self.heads.audit_origin),
        }

    def _make_plan(self) -> None:
        found = self.found
        with self.db.read() as connection:
            plan = selection.make(
                connection,
                found.corp_id,
                (found.pinned or {})["end"],
                found.selected(),
                found.seen_from(),
            )
        names = (found.pinned or {}).get("names", {})
        places = [each._replace(name=names.get(each.tag.hex())) for each in plan.places]
        facts, seqs = selection.pack(plan._replace(places=places))
        _write(self.work / "plan.seqs", seqs)
        _write(self.work / "plan.json", facts)

    def _write_part(self, number: int) -> None:
        start = (number - 1) * PART
        wanted = self.plan.seqs[start : start + PART]
        bare = self.plan.is_bare[start : start + PART]
        lines_path, raws_path = records.part_names(self.bag, number)
        for path in (lines_path, raws_path):
            make_folder(path.parent)
        opener = records.Opener(self.tools.keyring, self.corp)
        place_of = {each.number: (str(each.kind), each.room) for each in self.plan.places}
        withheld: list[Withheld] = []
        with lines_path.open("wb") as lines, raws_path.open("wb") as raws:
            for part in chunks(range(len(wanted)), READ):
                with self.db.read() as connection:
                    rows = selection.rows_of(
                        connection, self.found.corp_id, [wanted[place] for place in part]
                    )
                    opener.load(connection, rows)
                if len(rows) != len(part):
                    raise Unavailable("日志中缺少记录：请运行 liuhen fsck")
                pairs = [(row, bool(bare[place])) for row, place in zip(rows, part, strict=True)]
                withheld += records.write(
                    pairs, opener, place_of, self.redactions, lines, raws, self.corp
                )
        told = json.dumps([each._asdict() for each in withheld], ensure_ascii=False)
        _write(self.work / f"records-{number:04d}.done", told.encode())

    def _write_proofs(self) -> None:
        folder = self.bag / "data/30-proofs"
        make_folder(folder)
        with self.db.read() as connection:
            proofs.write_inclusion(
                connection,
                self.found.corp_id,
                (seq - 1 for seq in self.plan.seqs),
                self.heads.records.size,
                folder / "inclusion.hashes",
            )
            _write(folder / "checkpoint.note", self.heads.records.note.encode())
            _write(folder / "audit-checkpoint.note", self.heads.audit.note.encode())
            bridges = [*proofs.bridges(connection, self.found.corp_id, self.heads.records.size)]
        _write(folder / "consistency.jsonl", "".join(f"{line}\n" for line in bridges).encode())

    def _write_views(self, number: int, group: list[Place]) -> None:
        parts = []
        for place in group:
            with self.db.read() as connection:
                seqs = selection.conversation_seqs(
                    connection, self.found.corp_id, self.heads.records.size, place
                )
                wanted = [seq for seq in seqs if self.plan.is_chosen(seq)]
                rows = [
                    row
                    for part in chunks(wanted, READ)
                    for row in selection.rows_of(connection, self.found.corp_id, part)
                ]
            parts.append((place, rows))
        hidden = {*self.redactions, *(each.place + 1 for each in self._withheld())}
        views.write(
            self.bag / "data",
            number,
            parts,
            hidden,
            self.found.id,
            self.tools.zone,
        )
        papers.write_volume(
            self.bag / "data/40-views",
            number,
            parts,
            hidden,
            self.found,
            self.tools.zone,
        )
        _write(self.work / f"views-{number:04d}.done", b"")

    def _write_custody(self) -> None:
        target = self.bag / "data/60-custody/access.jsonl"
        make_folder(target.parent)
        with self.db.read() as connection:
            seqs = custody.write(
                connection,
                self.found.corp_id,
                self.found.id,
                self.plan,
                self.heads.audit.size,
                target,
            )
            proofs.write_inclusion(
                connection,
                logs.AUDIT,
                (seq - 1 for seq in seqs),
                self.heads.audit.size,
                self.bag / "data/30-proofs/audit-inclusion.hashes",
            )
        _write(self.work / "custody.json", json.dumps(len(seqs)).encode())

    def _write_papers(self) -> None:
        withheld = self._withheld()
        consents = (self.found.pinned or {})["consents"]
        gaps.write(self.bag / "data/70-gaps", self.plan, withheld, consents)
        told = self._statement(withheld)
        papers.write(self.bag / "data", self.found, told, self.tools.zone)
        _write(self.work / "papers.done", b"")

    def _withheld(self) -> list[Withheld]:
        return [
            Withheld(**{**each, "fields": tuple(each["fields"])})
            for path in sorted(self.work.glob("records-*.done"))
            for each in json.loads(path.read_bytes())
        ]

    def _statement(self, withheld: list[Withheld]) -> dict[str, Any]:
        by_reason = dict.fromkeys((records.REDACTED, records.KEY_DESTROYED), 0)
        for each in withheld:
            by_reason[each.reason] += 1
        plan = self.plan
        facts = Facts(
            corp=self.corp,
            included=len(plan.seqs),
            disclosed=plan.disclosed - len(withheld),
            not_selected=len(plan.seqs) - plan.disclosed,
            redacted=by_reason[records.REDACTED],
            key_destroyed=by_reason[records.KEY_DESTROYED],
            conversations=len(plan.places),
            custody=json.loads((self.work / "custody.json").read_bytes()),
            first_sent=plan.first_sent,
            last_sent=plan.last_sent,
        )
        return statement(
            self.found,
            facts,
            self.heads,
            self._vkeys(),
            self.tools.origin,
        )


def _write(path: Path, data: bytes) -> None:
    """Put a whole file there; a crash leaves none."""
    make_folder(path.parent)
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    os.replace(aside, path)  # noqa: PTH105  (atomic, both in one folder)
