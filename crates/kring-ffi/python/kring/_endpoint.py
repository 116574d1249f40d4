"""An endpoint, and where it keeps what lasts. Nothing here is for users; `kring` is."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterator, Optional, Sequence

from . import _abi
from . import _own as own
from ._base import Ended, Owned, bytes32, check, lib, list_of, text_of
from ._call import Call, Incoming, Knock
from ._media import Media
from ._values import Contact, Counters, IssuedTicket, Item, Peer


class Store(Owned):
    """A place for an identity, tickets and contacts, which are secrets. It may be closed once an endpoint has it."""

    _free = "kring_store_free"

    @classmethod
    def _made(cls, function: Callable[..., int], *arguments: Any) -> Store:
        handle = _abi.Handle()
        check(function(*arguments, ctypes.byref(handle)))
        return cls(handle.value)

    @classmethod
    def files(cls, folder: str) -> Store:
        """Plain files, for their owner only."""
        return cls._made(lib.kring_store_files, folder.encode())

    @classmethod
    def best(cls, folder: str) -> Store:
        """Files, sealed with a key of the system's key store where the library knows one."""
        return cls._made(lib.kring_store_best, folder.encode())

    @classmethod
    def system(cls, folder: str) -> Store:
        """Files, sealed with a key of the system's key store; an `Error` without one."""
        return cls._made(lib.kring_store_system, folder.encode())

    @classmethod
    def own(cls, load: Callable[[Item], Optional[bytes]], save: Callable[[Item, bytes], Any]) -> Store:
        """A place of the program's own. `load` gives what was saved last of an item, None if nothing was; `save` replaces it, whole or not at all, and returns
        once it would survive a crash. They are called on any thread and must not call functions of this module."""
        functions = _abi.StoreCallbacks(user_data=own.keep((load, save)), load=own.load, save=own.save, drop_fn=own.drop)
        return cls._made(lib.kring_store_new, ctypes.byref(functions))


def _contact(raw: Any) -> Contact:
    return Contact(
        raw.text("name"),
        raw.text("fingerprint"),
        bytes(raw.identity) if raw.has_identity else None,
        bool(raw.verified),
        bool(raw.callable),
        bool(raw.blocked),
        raw.since,
        raw.last_call,
    )


class Endpoint(Owned):
    """One identity on one socket. Iterating over it gives those who call, until it is closed.

    `store` keeps identity, tickets and contacts (only the identity with `identity_only`); `folder` is short for `Store.best(folder)`; without either all
    end with the object. `bind` is an address with a port. `ringing` and `vanished` are seconds. `relay` is one to listen at as well, as
    "HOST:PORT#PIN"; with `relay_only` calls go through relays only, and nobody learns this side's addresses."""

    _free = "kring_endpoint_free"

    def __init__(
        self,
        bind: Optional[str] = None,
        folder: Optional[str] = None,
        contacts_only: bool = False,
        lobby: bool = False,
        ringing: float = 60.0,
        vanished: float = 30.0,
        store: Optional[Store] = None,
        identity_only: bool = False,
        relay: Optional[str] = None,
        relay_only: bool = False,
    ) -> None:
        handle = _abi.Handle()
        if folder is not None:
            store = Store.best(folder)
        options = _abi.EndpointOptions(
            flags=contacts_only + 2 * lobby + 4 * identity_only + 8 * relay_only,
            bind=bind and bind.encode(),
            store=store._handle if store is not None else 0,
            ringing_ms=round(ringing * 1000),
            vanished_ms=round(vanished * 1000),
            relay=relay and relay.encode(),
        )
        check(lib.kring_endpoint_new(ctypes.byref(options), ctypes.byref(handle)))
        super().__init__(handle.value)

    def close(self) -> None:
        """Ends all its calls, tells the other sides (a second at most), and lets go of it."""
        if self._handle:
            lib.kring_endpoint_close(self._handle)
        super().close()

    def _identity(self) -> Any:
        raw = _abi.Identity()
        check(lib.kring_endpoint_identity(self._handle, ctypes.byref(raw)))
        return raw

    def fingerprint(self) -> str:
        """Who this is, for people."""
        return self._identity().text("fingerprint")

    def identity(self) -> bytes:
        """Who this is: 32 bytes, the public half of a key."""
        return bytes(self._identity().identity)

    def addresses(self) -> list[str]:
        """The addresses under which others may reach it, as they go into tickets."""
        handle, count = _abi.Handle(), ctypes.c_size_t()
        check(lib.kring_endpoint_addresses(self._handle, ctypes.byref(handle)))
        try:
            check(lib.kring_list_count(handle, ctypes.byref(count)))
            return [text_of(lib.kring_list_text, handle, index) for index in range(count.value)]
        finally:
            lib.kring_list_free(handle)

    def wait_relay(self, timeout: Optional[float] = None) -> None:
        """Waits until its relay is reached. Raises `Error` if it is not, though it is tried again and again; `Timeout`."""
        self._wait(lib.kring_endpoint_wait_relay, timeout)

    def network_changed(self) -> None:
        """The network has changed, or the machine has slept: calls look for other ways at once. New addresses of this machine are noticed without it."""
        check(lib.kring_endpoint_network_changed(self._handle))

    def counters(self) -> Counters:
        """How many strangers and broken handshakes were dropped."""
        raw = _abi.Counters()
        check(lib.kring_endpoint_counters(self._handle, ctypes.byref(raw)))
        return Counters(*(getattr(raw, name) for name, _kind in raw._fields_[2:]))

    def address(self) -> str:
        """Where it listens."""
        return text_of(lib.kring_endpoint_local_address, self._handle)

    def ticket(
        self,
        lifetime: Optional[float] = None,
        one_call: bool = False,
        passcode: Optional[str] = None,
        addresses: Sequence[str] = (),
    ) -> str:
        """Gives out a ticket: whoever has the text can call, for so many seconds (None: a day)."""
        named = (ctypes.c_char_p * len(addresses))(*[address.encode() for address in addresses])
        options = _abi.TicketOptions(
            flags=one_call,
            lifetime_s=0 if lifetime is None else max(1, round(lifetime)),
            addresses=named if addresses else None,
            address_count=len(addresses),
            passcode=passcode and passcode.encode(),
        )
        return text_of(lib.kring_endpoint_ticket, self._handle, ctypes.byref(options))

    def dial(self, ticket: str, media: Media) -> Call:
        """Dials whoever gave out the ticket; uses up `media`. The call begins at once and tells by its events how it goes on."""
        call = _abi.Handle()
        check(lib.kring_endpoint_dial(self._handle, ticket.encode(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def dial_expecting(self, ticket: str, identity: bytes, media: Media, verified: bool = False) -> Call:
        """Dials somebody who is known: if another identity answers, the call has no media before a person accepts that. `verified`: a person has compared it."""
        call, expected = _abi.Handle(), bytes32(identity)
        check(
            lib.kring_endpoint_dial_expecting(
                self._handle, ticket.encode(), expected, verified, media._take(), ctypes.byref(call)
            )
        )
        return Call(call.value)

    def dial_contact(self, name: str, media: Media) -> Call:
        """Dials a contact."""
        call = _abi.Handle()
        check(lib.kring_endpoint_dial_contact(self._handle, name.encode(), media._take(), ctypes.byref(call)))
        return Call(call.value)

    def answer_next(self, media: Media) -> Call:
        """Consents to answer the next caller, whoever it is: see kring.h for what that gives away."""
        call = _abi.Handle()
        check(lib.kring_endpoint_answer_next(self._handle, media._take(), ctypes.byref(call)))
        return Call(call.value)

    def incoming(self, timeout: Optional[float] = None) -> Incoming:
        """The next caller. Raises `Ended` once it is closed, `Timeout`."""
        raw = _abi.Handle()
        self._wait(lib.kring_endpoint_next_incoming, timeout, ctypes.byref(raw))
        return Incoming(raw.value)

    def __iter__(self) -> Iterator[Incoming]:
        while True:
            try:
                yield self.incoming()
            except Ended:
                return

    def knock(self, timeout: Optional[float] = None) -> Knock:
        """The next one who waits to be let in. Raises `Ended`, `Timeout`."""
        raw = _abi.Handle()
        self._wait(lib.kring_endpoint_next_knock, timeout, ctypes.byref(raw))
        return Knock(raw.value)

    def keep(self, peer: Peer, name: str) -> None:
        """Keeps the other side of a call as a contact."""
        check(lib.kring_endpoint_keep(self._handle, bytes32(peer.identity), name.encode()))

    def _home(self, function: Callable[..., Any], *arguments: Any) -> Any:
        home = _abi.Handle()
        check(lib.kring_endpoint_home(self._handle, ctypes.byref(home)))
        try:
            return function(home, *arguments)
        finally:
            lib.kring_home_free(home)

    def contacts(self) -> list[Contact]:
        """All contacts."""
        listed = self._home(lambda home: list_of(lib.kring_home_contacts, home, lib.kring_list_contact, _abi.Contact))
        return [_contact(raw) for raw in listed]

    def _found(self, function: Callable[..., int], sought: str) -> Contact:
        raw = _abi.Contact()
        check(self._home(function, sought.encode(), ctypes.byref(raw)))
        return _contact(raw)

    def contact(self, name: str) -> Contact:
        """A contact by name. Raises `NotFound`."""
        return self._found(lib.kring_home_contact, name)

    def contact_of(self, fingerprint: str) -> Contact:
        """A contact by fingerprint. Raises `NotFound`."""
        return self._found(lib.kring_home_contact_of, fingerprint)

    def add_contact(self, name: str, ticket: str) -> None:
        """Keeps whoever gave out the ticket as a contact, before any call."""
        check(self._home(lib.kring_home_add_contact, name.encode(), ticket.encode()))

    def rename_contact(self, name: str, new_name: str) -> None:
        """Gives a contact another name."""
        check(self._home(lib.kring_home_rename_contact, name.encode(), new_name.encode()))

    def set_verified(self, name: str, verified: bool = True) -> None:
        """Says whether a person has made sure who this contact is."""
        check(self._home(lib.kring_home_set_verified, name.encode(), verified))

    def remove_contact(self, name: str) -> None:
        """Forgets a contact and the secrets shared with them."""
        check(self._home(lib.kring_home_remove_contact, name.encode()))

    def block(self, fingerprint: str, blocked: bool = True) -> None:
        """Lets that identity not get through any more, or again."""
        function = lib.kring_home_block if blocked else lib.kring_home_unblock
        check(self._home(function, fingerprint.encode()))

    def blocked(self) -> dict[str, int]:
        """The fingerprints of those who are blocked, and since when, in seconds since 1970."""
        listed = self._home(lambda home: list_of(lib.kring_home_blocked, home, lib.kring_list_blocked, _abi.Blocked))
        return {raw.text("fingerprint"): raw.since for raw in listed}

    def tickets(self) -> list[IssuedTicket]:
        """The tickets that were given out and still hold."""
        listed = self._home(lambda home: list_of(lib.kring_home_tickets, home, lib.kring_list_ticket, _abi.IssuedTicket))
        return [IssuedTicket(t.text("id"), t.issued, t.expires, bool(t.one_call), bool(t.passcode)) for t in listed]

    def revoke(self, ticket_id: str) -> None:
        """Ends a ticket. Raises `NotFound`."""
        check(self._home(lib.kring_home_revoke, ticket_id.encode()))

    def set_passcode(self, ticket_id: str, passcode: str) -> None:
        """What callers have to know beside the ticket from now on."""
        check(self._home(lib.kring_home_set_passcode, ticket_id.encode(), passcode.encode()))
