"""qqbus: QQ on a Redis stream."""
