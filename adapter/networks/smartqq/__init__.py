"""Door 1, the network: SmartQQ, QQ's web chat until January 2019."""
