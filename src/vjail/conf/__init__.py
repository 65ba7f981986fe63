"""FreeBSD's configuration files as data, and data as such files: one folder or module for each file format.

Text comes in as a `position.Source` (bytes with a name), becomes immutable trees whose every part knows the `Span` it
stands at, and goes out as text again. Nothing here does I/O; what needs a further file (`.include`) asks a reader it is
handed.
"""
