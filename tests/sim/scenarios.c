#include <string.h>

#include "tests/sim/run.h"

/* What may happen to an agent and its collector, at planned moments. */

#define EVENTS(...) \
	(const struct event_plan[]) { __VA_ARGS__, {0, EVENTS_END} }

const struct scenario scenario_plain = {.name = "plain"};

static const struct scenario scenarios[] = {
	{.name = "files",
	 .files = 3,
	 .long_lines = true},
	{.name = "collector-away",
	 .pace_ms = 2000,
	 .files = 2,
	 .events = EVENTS({10000, COLLECTOR_GOES}, {70000, COLLECTOR_COMES})},
	{.name = "collector-away-at-first",
	 .events = EVENTS({0, COLLECTOR_GOES}, {30000, COLLECTOR_COMES})},
	{.name = "restart-with-spool",
	 .pace_ms = 1000,
	 .files = 3,
	 .events = EVENTS({10000, COLLECTOR_GOES}, {25000, AGENT_STOPS},
			  {30000, AGENT_COMES}, {38000, AGENT_DIES},
			  {45000, AGENT_LOSES_POWER},
			  {60000, COLLECTOR_COMES})},
	{.name = "stop-while-away",
	 .pace_ms = 500,
	 .events = EVENTS({9000, COLLECTOR_GOES}, {11000, AGENT_STOPS},
			  {40000, AGENT_COMES}, {50000, COLLECTOR_COMES})},
	{.name = "spool-limit",
	 .pace_ms = 500,
	 .long_lines = true,
	 .yaml = "  max: 1MiB\n"
		 "shipping:\n  segment_max: 64KiB\n  batch_max: 4KiB\n"
		 "  memory_max: 1MiB\n",
	 .events = EVENTS({5000, COLLECTOR_GOES}, {60000, COLLECTOR_COMES})},
	/* What can't be written is tried now and then, not all the time. */
	{.name = "agent-disk-full",
	 .pace_ms = 700,
	 .calls_max = 10000,
	 .events = EVENTS({8000, COLLECTOR_GOES}, {9000, AGENT_DISK_FULL},
			  {40000, AGENT_DISK_FREE},
			  {50000, COLLECTOR_COMES})},
	{.name = "agent-disk-full-to-the-end",
	 .pace_ms = 700,
	 .calls_max = 12000,
	 .events = EVENTS({5000, AGENT_DISK_FULL}, {8000, COLLECTOR_GOES},
			  {40000, COLLECTOR_COMES})},
	{.name = "collector-disk-full",
	 .pace_ms = 300,
	 .events = EVENTS({5000, COLLECTOR_DISK_FULL},
			  {25000, COLLECTOR_DISK_FREE})},
	{.name = "agent-sync-fails",
	 .pace_ms = 1000,
	 .events = EVENTS({5000, COLLECTOR_GOES}, {11000, AGENT_SYNC_FAILS},
			  {20000, AGENT_SYNC_FAILS}, {25000, AGENT_SYNC_FAILS},
			  {40000, COLLECTOR_COMES})},
	{.name = "collector-sync-fails",
	 .events = EVENTS({2000, COLLECTOR_SYNC_FAILS},
			  {4000, COLLECTOR_SYNC_FAILS},
			  {5000, COLLECTOR_SYNC_FAILS})},
	{.name = "store-restored",
	 .pace_ms = 500,
	 .files = 2,
	 .events = EVENTS({8000, COLLECTOR_BACKUP},
			  {20000, COLLECTOR_RESTORED})},
	{.name = "store-restored-agent-down",
	 .pace_ms = 500,
	 .events = EVENTS({5000, COLLECTOR_BACKUP}, {12000, AGENT_STOPS},
			  {20000, COLLECTOR_RESTORED}, {25000, AGENT_COMES})},
	{.name = "store-wiped",
	 .pace_ms = 500,
	 .files = 2,
	 .events = EVENTS({15000, COLLECTOR_RESTORED})},
	{.name = "store-wiped-agent-down",
	 .pace_ms = 500,
	 .events = EVENTS({12000, AGENT_STOPS}, {20000, COLLECTOR_RESTORED},
			  {25000, AGENT_COMES})},
	{.name = "store-wiped-with-spool",
	 .pace_ms = 700,
	 .files = 2,
	 .events = EVENTS({9000, COLLECTOR_GOES}, {25000, AGENT_STOPS},
			  {26000, COLLECTOR_RESTORED}, {30000, AGENT_COMES},
			  {40000, COLLECTOR_COMES})},
	{.name = "alerts",
	 .detectors = true,
	 .pace_ms = 1000,
	 .events = EVENTS({10000, AGENT_STOPS}, {15000, AGENT_COMES},
			  {20000, COLLECTOR_GOES}, {30000, AGENT_DIES},
			  {50000, COLLECTOR_COMES})},
	{.name = "silence",
	 /* Segments end and go while their session lives. */
	 .pace_ms = 2500,
	 .yaml = "shipping:\n  segment_silence: 1s\n  segment_age: 3s\n",
	 .until_ms = 300000},
};

const struct scenario *scenario_at(unsigned i)
{
	return i < sizeof scenarios / sizeof *scenarios ? &scenarios[i] : NULL;
}

const struct scenario *scenario_named(const char *name)
{
	if (strcmp(name, scenario_plain.name) == 0) {
		return &scenario_plain;
	}
	for (unsigned i = 0; scenario_at(i) != NULL; i++) {
		if (strcmp(scenarios[i].name, name) == 0) {
			return &scenarios[i];
		}
	}
	return NULL;
}
