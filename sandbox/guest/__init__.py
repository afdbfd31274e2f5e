"""The program inside the container: it drives one Jupyter kernel and speaks frames with the host.

The sources of this package are sent to the container at every start and executed there by the image's
own Python; they therefore import only the standard library, pyzmq, jupyter-client and ipykernel. The host
never imports them. Three processes come out of them:

    guest    frames on stdin/stdout, kernel messages on ipc sockets, one poll loop
    zygote   a fork of the guest; forks a kernel whenever the guest asks, and reports its wait status
    kernel   ipykernel; its stdout and stderr are pipes that the guest reads

All three have the same user. The guest is safe from the code in the kernel because it is the container's
init, whom no signal from inside reaches (pid_namespaces(7)), and because it is not dumpable: its
descriptors, which are the stream to the host, and its memory are closed to everyone inside.

A frame is two big-endian 32-bit lengths, a JSON object of the first length and a payload of the
second. `sandbox.frames` describes the frames that go to the host; `Guest` answers those that come from
it. `tests/sandbox/test_frames.py` holds the two together.
"""
