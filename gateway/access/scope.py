"""What part of its tenant's feed a subscription shows: what the token allows, narrowed by the filters of the client.

Pure values. The tenant itself is not here: a subscriber belongs to one tenant's group and to no other.
"""

from dataclasses import dataclass, replace

from gateway.access.bearer import Bearer

_NOTHING: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Scope:
    """Allowed and wanted clients and sites.

    `clients` and `sites` come from the token; None does not limit, and a record must pass both. What was
    subscribed to is joined: a record of a wanted client or of a wanted site is shown.
    """

    clients: frozenset[int] | None = None
    sites: frozenset[int] | None = None
    wanted_clients: frozenset[int] = _NOTHING
    wanted_sites: frozenset[int] = _NOTHING

    @classmethod
    def of(cls, bearer: Bearer) -> "Scope":
        """All that a bearer may see."""
        return cls(bearer.clients, bearer.sites)

    @property
    def everything(self) -> bool:
        """Whether each record of the tenant passes: such subscribers share their frames."""
        return self.clients is None and self.sites is None and not self.wanted_clients and not self.wanted_sites

    @property
    def filters(self) -> int:
        """How many clients and sites the filters name."""
        return len(self.wanted_clients) + len(self.wanted_sites)

    def shows(self, client_id: int | None, site_id: int | None) -> bool:
        """Whether a record of this client and site is shown; one that is unknown only where nothing limits."""
        if self.clients is not None and client_id not in self.clients:
            return False
        if self.sites is not None and site_id not in self.sites:
            return False
        if not self.wanted_clients and not self.wanted_sites:
            return True
        return client_id in self.wanted_clients or site_id in self.wanted_sites

    def allows_client(self, client_id: int) -> bool:
        """Whether the token allows a filter by this client."""
        return self.clients is None or client_id in self.clients

    def allows_site(self, site_id: int) -> bool:
        """Whether the token allows a filter by this site."""
        return self.sites is None or site_id in self.sites

    def allows(self, other: "Scope") -> bool:
        """Whether the token allows all filters of another scope."""
        return all(map(self.allows_client, other.wanted_clients)) and all(map(self.allows_site, other.wanted_sites))

    def narrowed_to(self, other: "Scope") -> "Scope":
        """What this one allows, with the filters of another one."""
        return replace(self, wanted_clients=other.wanted_clients, wanted_sites=other.wanted_sites)

    def with_client(self, client_id: int) -> "Scope":
        """Narrowed to this client too."""
        return replace(self, wanted_clients=self.wanted_clients | {client_id})

    def with_site(self, site_id: int) -> "Scope":
        """Narrowed to this site too."""
        return replace(self, wanted_sites=self.wanted_sites | {site_id})

    def widened(self) -> "Scope":
        """Back to all that the token allows."""
        return replace(self, wanted_clients=_NOTHING, wanted_sites=_NOTHING)
