"""Sockets: each server translates its protocol to the gateway and back."""
