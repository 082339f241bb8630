"""Schedules: cron expressions that create tasks."""
