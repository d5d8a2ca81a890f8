"""Contacts of SmartQQ: lists, roster, loader."""
