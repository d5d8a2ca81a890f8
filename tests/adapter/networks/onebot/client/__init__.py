"""Tests of adapter/networks/onebot/client/."""
