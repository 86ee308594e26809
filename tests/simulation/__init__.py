"""The simulator: true client, true engine, thousands of seeded fault schedules in virtual time; see README.md."""
