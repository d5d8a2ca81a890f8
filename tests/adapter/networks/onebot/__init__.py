"""Tests of adapter/networks/onebot/."""
