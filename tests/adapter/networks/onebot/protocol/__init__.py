"""Tests of adapter/networks/onebot/protocol/."""
