"""Campaigns: pushes that marketers write, approve and schedule, sent by the room's runs."""
