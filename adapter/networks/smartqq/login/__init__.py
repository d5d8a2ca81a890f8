"""Logins to SmartQQ: QR code, password, quick login."""
