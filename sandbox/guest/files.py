"""Answers the host's requests about files in the workspace."""

from typing import Any

from sandbox.guest.wire import AbandonedError, Host, Work, pack_json
from sandbox.guest.workspace import Upload, data_and_holes, list_workspace, open_regular, workspace_path


class FileRequests:
    """Takes one upload at a time, and sends files and lists of them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._upload: Upload | None = None

    def put(self, header: dict[str, Any], payload: bytes) -> None:
        self._upload = Upload(header["name"])

    def data(self, header: dict[str, Any], payload: bytes) -> None:
        if self._upload is None:
            return  # the upload was refused; what is still on its way is dropped
        try:
            self._upload.add(payload)
        except OSError:
            self.abandon_upload()
            raise

    def end(self, header: dict[str, Any], payload: bytes) -> None:
        if self._upload is None:
            return
        try:
            moved = self._upload.finish()
        except OSError:
            self.abandon_upload()
            raise
        self._upload = None
        self._host.send({"type": "file", "id": header["id"]} | moved)

    def abandon_upload(self) -> None:
        """Remove what has come of an upload that will not be completed."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.abandon()

    def get(self, header: dict[str, Any], payload: bytes) -> None:
        fd = open_regular(workspace_path(header["name"]))
        with open(fd, "rb", buffering=0):
            for piece in data_and_holes(fd, header["max_bytes"]):
                if self._host.is_waiting():
                    return  # whoever asked for this has given up
                if isinstance(piece, int):
                    self._host.send({"type": "hole", "id": header["id"], "size_bytes": piece})
                else:
                    self._host.send({"type": "data", "id": header["id"]}, piece)
        self._host.send({"type": "whole", "id": header["id"]})

    def list(self, header: dict[str, Any], payload: bytes) -> None:
        work = Work(self._host, header["id"])
        try:
            files = list_workspace(header["max_files"], header["hashed"], work.go_on)
        except AbandonedError:
            return
        self._host.send({"type": "files", "id": header["id"]}, pack_json(files))
