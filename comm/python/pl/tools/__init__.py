"""External tools (kubectl, helm, kind, ...): from tools.toml into ``.deps/bin``, and never run unverified.

``registry`` reads tools.toml; ``sources`` says where each tool comes from, upstream or a mirror; ``fetch`` downloads;
``checksums`` says what a file must be; ``archives`` takes a program out of an archive; ``shelf`` is what stands in
``.deps``; ``install`` does all of that; ``pins`` records checksums in the tracked file.
"""
