"""Connect to SmartQQ, QQ's web chat until January 2019."""
