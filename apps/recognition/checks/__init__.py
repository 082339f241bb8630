"""Image checks of a face's picture: the requirements of ISO/IEC 19794-5, or a client's own."""
