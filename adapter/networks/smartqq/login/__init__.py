"""Log in to SmartQQ: relink, quick login, QR code, password."""
