"""Fuzzes the parsers of client input: `python3 noxfile.py -s fuzz` for 20,000 inputs, `-- -runs=1000000` for more.

The text of a client comes before what proxies append. It must not change the client's identity, and no text may raise
an error. (The tests check the same with Hypothesis. This fuzzer is guided by the coverage of the parsers.)
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
    """Parse header lines of a client, alone and followed by those of two proxies."""
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
    """Fuzz for the given number of runs."""
    atheris.Setup([sys.argv[0], "-max_len=512", "-runs=20000", *sys.argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
