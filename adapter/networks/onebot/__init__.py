"""OneBot 11: a QQ account through NapCat, LLBot, SnowLuma or another implementation."""
