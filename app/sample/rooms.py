"""Who meets where on which day: parties and rooms of the sample company, looked up by day."""

from collections import defaultdict
from typing import Final, NamedTuple

from app.archive.domain import ConversationKind, Party, PartyType
from app.sample.company import FIRST_DAY, ROBOT, Assignment, Client, Company, Employee

ROBOT_PARTY: Final = Party(PartyType.ROBOT, ROBOT, "样例播报机器人")


class Room(NamedTuple):
    """Where a conversation happens; `key` tells rooms apart, a single chat has no id and no name."""

    key: str
    kind: ConversationKind
    id: str | None
    name: str | None
    members: tuple[Party, ...]

    def hearers(self, sender: Party) -> list[Party]:
        """Everybody but the sender."""
        return [party for party in self.members if party != sender]


class Directory:
    """The company by id and by day."""

    def __init__(self, company: Company) -> None:
        """Index the company's people and groups."""
        self._employees = {employee.userid: employee for employee in company.employees}
        self._clients = {client.external_id: client for client in company.clients}
        self._service: defaultdict[str, list[Assignment]] = defaultdict(list)
        for assignment in company.assignments:
            self._service[assignment.client].append(assignment)
        self._groups = {group.group_id: group for group in company.groups}

    def client(self, external_id: str) -> Client:
        """The client with this id."""
        return self._clients[external_id]

    def staff(self, userid: str) -> Party:
        """The employee with this userid, as a party."""
        return Party(PartyType.EMPLOYEE, userid, self._employees[userid].name)

    def present(self, day: int) -> list[Party]:
        """Everybody employed on `day`."""
        return [self.staff(e.userid) for e in self._employees.values() if _works(e, day)]

    def serving(self, client: str, day: int) -> Party | None:
        """The adviser of a client on `day`; on the very day of a new assignment there is none yet."""
        for assignment in self._service[client]:
            if assignment.covers(day) and (assignment.start < max(day, FIRST_DAY)):
                return self.staff(assignment.employee)
        return None

    def is_handover(self, assignment: Assignment) -> bool:
        """Tell whether somebody else served the client before."""
        return self._service[assignment.client][0] != assignment

    def room(self, group_id: str, day: int) -> Room:
        """The group's room with those who are there on `day`."""
        group = self._groups[group_id]
        inside = [self.staff(u) for u in group.employees if _works(self._employees[u], day)]
        outside = [outsider(self._clients[c]) for c in group.clients]
        robots = [] if group.clients else [ROBOT_PARTY]
        members = (*inside, *outside, *robots)
        return Room(group_id, ConversationKind.GROUP, group_id, group.name, members)


def outsider(client: Client) -> Party:
    """The client as a party."""
    return Party(PartyType.CLIENT, client.external_id, client.name)


def single(one: Party, other: Party) -> Room:
    """The single chat of two; who comes first makes no difference to its key."""
    key = "|".join(sorted((one.id, other.id)))
    return Room(key, ConversationKind.SINGLE, None, None, (one, other))


def insiders(room: Room) -> list[Party]:
    """The employees in a room."""
    return [party for party in room.members if party.type is PartyType.EMPLOYEE]


def _works(employee: Employee, day: int) -> bool:
    return any(s.start <= day and (s.end is None or day < s.end) for s in employee.spans)
