/* SPDX-License-Identifier: Apache-2.0 */
#include "dependency.h"

#include "image.h"
#include "tlv.h"

struct dependency {
	uint8_t image, zero[3];
	struct image_version version;
};
_Static_assert(sizeof(struct dependency) == 12, "TLV layout");

static bool is_met(const struct provision *p, const unsigned slots[], const struct tlv_walk *w)
{
	struct dependency wanted;
	struct image_header other;
	struct image_source from;

	if (w->len != sizeof(wanted) || tlv_read(w, &wanted, sizeof(wanted)) != 0 || wanted.image >= p->images)
		return false;
	from = image_in_slot(wanted.image, slots[wanted.image]);
	if (source_read(&from, 0, &other, sizeof(other)) != 0)
		return false;
	return other.magic == IMAGE_MAGIC && version_compare(&other.version, &wanted.version) >= 0;
}

bool dependencies_met(const struct provision *p, unsigned image, const unsigned slots[])
{
	struct image_source from = image_in_slot(image, slots[image]);
	struct image_info info;
	struct tlv_walk w;
	int more;

	if (source_parse(&from, &info) != VERIFY_OK)
		return false;
	for (tlv_begin(&w, &from, &info); (more = tlv_next(&w)) > 0;) {
		if (w.type == TLV_DEPENDENCY && w.is_protected && !is_met(p, slots, &w))
			return false;
	}
	return more == 0;
}
