"""Prints one line, and so proves that its libraries are found."""

import sqlite3
import ssl

print("hello from", ssl.OPENSSL_VERSION.split()[0], sqlite3.sqlite_version.split(".")[0])
