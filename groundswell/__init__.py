"""The hall: records, codec, names, settings and the store that every room shares."""
