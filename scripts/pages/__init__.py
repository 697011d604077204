"""The trend site: static pages of the history, made again only where what they show has changed.

*Card*: what lists, trends and neighbours need of a run. *Catalog*: all of them. *Job*: makes some files, and has a key
of all that they depend on (``docs/site.md``). Templates, scripts and styles are in ``site/``.
"""
