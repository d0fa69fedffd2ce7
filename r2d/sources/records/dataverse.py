"""Dataverse, wherever it runs."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote

from r2d.errors import SourceNotFound, WrongUsage
from r2d.events import Decided, Emit
from r2d.sources.http import REAL_TIME, Checksum, Clock, Web
from r2d.sources.protocol import Checkout, Network, Source
from r2d.sources.records.files import RecordFile, bring, field_of, lift_single_folder
from r2d.sources.records.services import Services, https

_LATEST = ":latest-published"
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PAGES = ("dataset.xhtml", "file.xhtml", "citation")


def recognise(parts: SplitResult, services: Services) -> Source | None:
    """A dataset or a file of one, on a known installation or by the form of the address."""
    known = parts.hostname in services.dataverse_hosts
    path = unquote(parts.path).rstrip("/")
    prefix, _, page = path.rpartition("/")
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    dataset = Dataset(https(parts) + prefix, asked.get("persistentId"), version=asked.get("version"))
    if page in _PAGES and (dataset.persistent_id or page == "file.xhtml"):
        if page == "file.xhtml" and asked.get("fileId", "").isdecimal():
            return replace(dataset, persistent_id=None, file_id=asked["fileId"])
        return dataset if dataset.persistent_id else None
    if found := re.fullmatch(r"(.*)/api/access/datafile/([^/]+)", path):
        at = replace(dataset, site=https(parts) + found[1], version=None)
        if found[2].isdecimal():
            return replace(at, persistent_id=None, file_id=found[2])
        return at if found[2] == ":persistentId" and dataset.persistent_id else None
    if known and path:
        raise WrongUsage(
            "This address of a Dataverse names no dataset.",
            where=https(parts) + path,
            fix="Give the dataset's DOI, or its address with …/dataset.xhtml?persistentId=….",
        )
    return None


@dataclass(frozen=True)
class Dataset:
    """A dataset, named by its own persistent id, by that of a file in it, or by a file's number."""

    site: str
    persistent_id: str | None
    file_id: str | None = None
    version: str | None = None
    clock: Clock = field(default=REAL_TIME, repr=False)

    @property
    def name(self) -> str:
        """The page of the dataset."""
        if self.persistent_id:
            version = f"&version={self.version}" if self.version else ""
            return f"{self.site}/dataset.xhtml?persistentId={self.persistent_id}{version}"
        return f"{self.site}/file.xhtml?fileId={self.file_id}"

    def fetch(self, into: Path, network: Network, emit: Emit) -> Checkout:
        """The files of one version, in the form in which they were given to the Dataverse."""
        web = Web(network, emit, self.clock)
        version, dataset = self._version(web)
        major, minor = version.get("versionNumber"), version.get("versionMinorNumber")
        number = f"{major}.{minor}" if major is not None else "draft"
        if self.version is None:
            emit(Decided("version", number, because="no version is asked for; this is the latest published"))
        files = field_of(version, "files", of=self.name)
        self._refuse_restricted(files)
        bring([self._file(file) for file in files], into, web, record=self.name)
        lift_single_folder(into)
        return Checkout(into, source=self.name, content=f"{dataset}.v{number}", temporary=True)

    def _version(self, web: Web) -> tuple[Any, str]:
        """The version asked for, and the persistent id of its dataset."""
        if self.persistent_id is None:
            dataset = self._dataset_of_file(web, f"{self.site}/api/files/{self.file_id}?")
            return self._version_of(web, dataset), dataset
        if (found := self._version_if_there(web, self.persistent_id)) is not None:
            return found, self.persistent_id
        # Files have persistent ids too, in the same form.
        quoted = quote(self.persistent_id, safe="")
        dataset = self._dataset_of_file(web, f"{self.site}/api/files/:persistentId?persistentId={quoted}&")
        return self._version_of(web, dataset), dataset

    def _version_if_there(self, web: Web, persistent_id: str) -> Any | None:
        version = self.version or _LATEST
        if version != _LATEST and not _VERSION.fullmatch(version):
            raise WrongUsage(
                f"The version {version!r} is not published.",
                where=self.name,
                fix="Ask for a number such as 1.0, or leave it out for the latest.",
            )
        answer = web.document_if_there(
            f"{self.site}/api/datasets/:persistentId/versions/{version}"
            f"?persistentId={quote(persistent_id, safe='')}"
        )
        return None if answer is None else field_of(answer, "data", of=self.name)

    def _version_of(self, web: Web, dataset: str) -> Any:
        if (found := self._version_if_there(web, dataset)) is None:
            raise SourceNotFound(
                f"The Dataverse has no version {self.version or 'that is published'} of {dataset}.",
                where=self.name,
                fix="Look at the versions on the page of the dataset.",
            )
        return found

    def _dataset_of_file(self, web: Web, address: str) -> str:
        answer = web.document_if_there(f"{address}returnDatasetVersion=true")
        if answer is None:
            raise SourceNotFound(
                "The Dataverse knows no such dataset or file"
                + (f" with version {self.version}." if self.version else "."),
                where=self.name,
                fix="Check the persistent id, and the version if one is given.",
            )
        return str(field_of(answer, "data", "datasetVersion", "datasetPersistentId", of=self.name))

    def _refuse_restricted(self, files: Any) -> None:
        closed = [str(file.get("label")) for file in files if file.get("restricted")]
        if closed:
            raise SourceNotFound(
                f"{len(closed)} files of the dataset are restricted: {', '.join(closed[:5])}.",
                where=self.name,
                fix="Ask its owner for access, download the dataset and give r2d the folder.",
            )

    def _file(self, file: Any) -> RecordFile:
        stored = field_of(file, "dataFile", of=self.name)
        number = field_of(stored, "id", of=self.name)
        # A table that the Dataverse converted: what was uploaded is what the code reads.
        original = bool(stored.get("originalFileFormat"))
        name = stored.get("originalFileName") if original else None
        folder = file.get("directoryLabel")
        checksum = stored.get("checksum") or {"type": "MD5", "value": stored.get("md5")}
        size = stored.get("originalFileSize" if original else "filesize")
        return RecordFile(
            path="/".join(filter(None, (folder, name or file.get("label") or stored.get("filename")))),
            url=f"{self.site}/api/access/datafile/{number}" + ("?format=original" if original else ""),
            size=size if isinstance(size, int) else None,
            checksum=Checksum.parse(checksum.get("type"), checksum.get("value")),
            checksum_is_certain=not original,
        )
