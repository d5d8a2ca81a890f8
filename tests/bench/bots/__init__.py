"""One bot five times: `#ping` said in a group is answered with `pong`, once, whatever happens to the process.

Each is written as its framework's documentation would have it, runs as it stands, and is what
`tests.bench.killed` kills, starts again, and counts the lines of.
"""
