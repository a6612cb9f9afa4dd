#include "sources/fstype.h"

#include <stddef.h>

/* Of linux/magic.h, and of the file systems that stand outside of the kernel.  Overlayfs
 * is not among them: it tells what is done through it, which is nearly all in a
 * container, and what is done to its layers beneath the next poll finds. */
static const struct {
	uint32_t type;
	const char *name;
} silent[] = {
	{0x00006969, "NFS"},  {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},
	{0x0000517b, "SMB"},  {0x65735546, "FUSE"},   {0x01021997, "9p"},
	{0x00c36400, "Ceph"}, {0x5346414f, "AFS"},    {0x6b414653, "kAFS"},
	{0x73757245, "Coda"}, {0x7461636f, "OCFS2"},  {0x01161970, "GFS2"},
	{0x0bd00bd0, "Lustre"}, {0x47504653, "GPFS"}, {0x786f4256, "vboxsf"},
	{0xbacbacbc, "vmhgfs"}, {0x0000564c, "NCP"},  {0x19830326, "BeeGFS"},
};

const char *fstype_silent(uint64_t type)
{
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
		if (silent[i].type == type) {
			return silent[i].name;
		}
	}
	return NULL;
}
