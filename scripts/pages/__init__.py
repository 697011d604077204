"""The pages of the trend site, and the data beside them: nouns of `build_site`."""
