"""Typed client of hmlet photos: ``from ht.api_clients.photos import Photo, PhotosApiClient``."""

__version__ = "0.1.0"
