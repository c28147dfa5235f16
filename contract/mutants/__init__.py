"""Faulty servers, each a proxy with one fault, that the families have to tell from a right one."""
