/* Stand-in. -DSTAND_IN_slot2_partition=1 says that there is one. */
#pragma once
#define DT_NODELABEL(label) STAND_IN_##label
#define DT_NODE_EXISTS(node) (node)
#ifndef STAND_IN_slot2_partition
#define STAND_IN_slot2_partition 0
#endif
#ifndef STAND_IN_slot4_partition
#define STAND_IN_slot4_partition 0
#endif
#define STAND_IN_slot6_partition 0
#define STAND_IN_slot8_partition 0
