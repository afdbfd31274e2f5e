"""The guest sends what the zygote receives."""

import os
import socket

from sandbox.guest.launch import KEY_BYTES, KernelLaunch, receive_launch, send_launch
from sandbox.guest.marks import SECRET_BYTES


def test_a_launch_arrives_as_it_was_sent_with_descriptors_of_the_same_pipes() -> None:
    guest, zygote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pipes = [os.pipe() for _ in range(4)]
    launch = KernelLaunch("@somewhere", b"k" * KEY_BYTES, b"s" * SECRET_BYTES, *(write for _, write in pipes))
    with guest, zygote:
        send_launch(guest, launch)
        received = receive_launch(zygote)
    assert received is not None
    assert received[:3] == launch[:3]
    for number, (fd, (read_fd, write_fd)) in enumerate(zip(received[3:], pipes, strict=True)):
        os.write(fd, bytes([number]))
        assert os.read(read_fd, 9) == bytes([number])
        for one in (fd, read_fd, write_fd):
            os.close(one)


def test_there_is_no_launch_once_the_guest_has_ended() -> None:
    guest, zygote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guest.close()
    with zygote:
        assert receive_launch(zygote) is None


def test_a_launch_to_a_zygote_that_has_ended_is_lost() -> None:
    guest, zygote = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    zygote.close()
    with guest:
        send_launch(guest, KernelLaunch("@somewhere", b"k" * KEY_BYTES, b"s" * SECRET_BYTES, 0, 1, 2, 3))
