"""FHIR resources as answered: stored bytes with versionId and lastUpdated put in. Implements ports.Resources."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, Select, and_, select, tuple_

from gateway.model.caller import Scope
from gateway.model.resource import SearchPage, SearchPlan, StoredResource
from gateway.storage import search
from gateway.storage.schema import resource, resource_version
from gateway.storage.scope import resource_conditions

PAGE = 500
"""Rows of an export read at a time: each page is a short transaction, so an export never holds back the log's checkpoint."""


class ResourceTable:
    """ports.Resources over one database. Search itself is storage/search.py."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, type_: str, id_: str, scope: Scope) -> StoredResource | None:
        with self._engine.connect() as connection:
            row = connection.execute(_current(scope).where(resource.c.type == type_, resource.c.rid == id_)).first()
        return search.stored(row) if row else None

    def vread(self, type_: str, id_: str, version: int, scope: Scope) -> StoredResource | None:
        return next((one for one in self.history(type_, id_, scope) if one.version == version), None)

    def history(self, type_: str, id_: str, scope: Scope) -> list[StoredResource]:
        """Newest source time first; of one source time the one stored last."""
        old, same = resource_version.alias("old"), resource_version.alias("same")
        # A content that came back is stored once: a row without bytes borrows those of its twin.
        twin = select(same.c.body).where(same.c.n == old.c.n, same.c.hash == old.c.hash, same.c.body.is_not(None))
        mine = and_(resource.c.type == type_, resource.c.rid == id_, *resource_conditions(scope))
        what = (resource.c.type, resource.c.rid)
        current = select(
            *what,
            resource.c.version,
            resource.c.last_updated,
            resource.c.deleted,
            resource.c.body,
            resource.c.source_time,
        ).where(mine)
        earlier = (
            select(
                *what,
                old.c.version,
                old.c.last_updated,
                old.c.deleted,
                twin.limit(1).scalar_subquery().label("body"),
                old.c.source_time,
            )
            .join(resource, resource.c.n == old.c.n)
            .where(mine)
        )
        with self._engine.connect() as connection:
            rows: list[Any] = [*connection.execute(current), *connection.execute(earlier)]
        rows.sort(key=lambda row: (row.source_time, row.version), reverse=True)
        return [search.stored(row) for row in rows]

    def search(self, plan: SearchPlan, scope: Scope) -> SearchPage:
        with self._engine.connect() as connection:
            return search.run(connection, plan, scope)

    def export(self, scope: Scope) -> Iterator[StoredResource]:
        """By type, then id. What changes while it runs may or may not be in it; nothing comes twice."""
        after = ("", "")
        while True:
            wanted = (
                _current(scope)
                .where(resource.c.deleted == 0, tuple_(resource.c.type, resource.c.rid) > after)
                .order_by(resource.c.type, resource.c.rid)
                .limit(PAGE)
            )
            with self._engine.connect() as connection:
                page = connection.execute(wanted).all()
            yield from map(search.stored, page)
            if len(page) < PAGE:
                return
            after = (page[-1].type, page[-1].rid)


def _current(scope: Scope) -> Select[Any]:
    return select(
        resource.c.type,
        resource.c.rid,
        resource.c.version,
        resource.c.last_updated,
        resource.c.deleted,
        resource.c.body,
    ).where(*resource_conditions(scope))
