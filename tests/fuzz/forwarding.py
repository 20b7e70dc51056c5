"""Fuzzes what reads the text of clients: `python3 noxfile.py -s fuzz`; 20,000 inputs, more with `-- -runs=1000000`.

What a client sends comes before what proxies append, and must not change who it is; whatever it is, reading it must end
without an error. (The tests try the same with Hypothesis; this goes where the coverage of the parsers leads.)
"""

import sys

import atheris

with atheris.instrument_imports(include=["traffik"]):
    from traffik.identities.forwarding import MAX_HOPS, hops
    from traffik.identities.networks import address_number
    from traffik.identities.proxies import proxies

CLIENT = "192.0.2.1"
APPENDED = {"x-forwarded-for": CLIENT, "forwarded": f'by="_a,b";for="{CLIENT}:80";host="x\\","'}
TRUST = {name: proxies(["10.0.0.0/8"], name) for name in APPENDED}
COUNT = {name: proxies(2, name) for name in APPENDED}


def one_input(data: bytes) -> None:
    """Read lines that a client has sent: by themselves, and below what two proxies say."""
    lines = data.decode("latin-1").split("\n")
    for name, appended in APPENDED.items():
        found = list(hops(lines, name))
        assert len(found) <= MAX_HOPS
        for hop in found:
            if hop is not None:
                address_number(hop)
        behind = appended.replace(CLIENT, "10.0.0.2")
        for chain in ([*lines, appended, behind], [*lines[:-1], f"{lines[-1]},{appended},{behind}"]):
            assert TRUST[name].identity("10.0.0.1", chain) == CLIENT
            assert COUNT[name].identity(None, chain) == CLIENT


def main() -> None:
    """Fuzz until the number of runs is through."""
    atheris.Setup([sys.argv[0], "-max_len=512", "-runs=20000", *sys.argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
