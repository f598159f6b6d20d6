// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "symbols/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "symbols/symbol_table.h"

#define DEBUG_FOLDER "/usr/lib/debug/.build-id"
#define BUILD_ID_BYTES 64

/*
 * A process chooses what it runs, and writes what it likes into its perf map: bounds on what is
 * read of one file (symbol_table.h has those on what is kept of it), and of all together.
 */
#define PERF_MAP_BYTES (64u << 20)
#define SYMBOLS_BYTES (64u << 20)
#define NOTES_BYTES (1u << 20)
#define TABLES_BYTES (128u << 20)
#define MAPPINGS 65536
/* Files that had one inode, one after the other. */
#define VERSIONS 8
/* Reports that a process may be missing from before it is forgotten. */
#define ROUNDS 8

/* A piece of a file that is loaded to be executed. */
struct code {
	uint64_t offset, size, address;
};

/* What else than its inode's number makes a file the one that it was. */
struct version {
	int64_t changed_s, changed_ns, size;
};

/*
 * A file with code that processes have mapped; device and inode 0: the vDSO. The same inode may be
 * another file's later, or be written anew.
 */
struct module {
	unsigned int major, minor;
	uint64_t inode;
	struct version version;
	struct module *older; /* with the same inode */
	int fd;
	bool loaded;
	struct code *code;
	size_t n_code;
	struct symbol_table table;
};

/* Executable memory of a process. */
struct mapping {
	uint64_t start, end, offset;
	struct module *module;
};

/*
 * When a process began, how much it has mapped and where its code begins: another one for another
 * program or when more was mapped.
 */
struct identity {
	unsigned long long began, mapped, code;
};

/* What a process had mapped when it was last looked at. */
struct process {
	struct process *next;
	uint32_t pid;
	uint64_t round; /* of reports, in which it was last remembered */
	struct identity identity;
	struct mapping *mappings;
	size_t n, room;
	int perf_fd;
	bool perf_read;
	struct symbol_table compiled;
};

struct symbols {
	void *processes, *modules; /* trees of tsearch() */
	struct process *all; /* the processes again, as a list */
	uint64_t round;
	struct symbol_table kernel;
	bool kernel_read;
	size_t bytes; /* of the tables of modules and processes */
	bool cut;
};

/* A table that is filled. */
static void finish_table(struct symbols *s, struct symbol_table *t, bool latest)
{
	symbol_table__sort(t, latest);
	s->bytes += symbol_table__bytes(t);
	s->cut |= t->cut;
}

/* Whether there may be another one. */
static bool has_room(struct symbols *s)
{
	s->cut |= s->bytes > TABLES_BYTES;
	return s->bytes <= TABLES_BYTES;
}

/* -- the kernel -------------------------------------------------------------------------------- */

/* "ffffffff81000000 T _stext", perhaps with a module after it. */
static void read_kallsyms(struct symbol_table *t)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char *line = NULL, *end, *name;
	uint64_t address;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		address = strtoull(line, &end, 16);
		if (!address || *end != ' ' || !end[1] || !strchr("tTwW", end[1]) || end[2] != ' ')
			continue;
		name = end + 3;
		symbol_table__add(t, address, UINT64_MAX, name, strcspn(name, " \t\n"));
	}
	free(line);
	if (file)
		fclose(file);
	symbol_table__sort(t, false);
}

bool symbols__kernel_hidden(const struct symbols *s)
{
	return s->kernel_read && !s->kernel.n_places;
}

const char *symbols__kernel(struct symbols *s, uint64_t address)
{
	if (!s->kernel_read)
		read_kallsyms(&s->kernel);
	s->kernel_read = true;
	return symbol_table__find(&s->kernel, address);
}

/* -- ELF files --------------------------------------------------------------------------------- */

/* An ELF file, or one in memory. */
struct image {
	Elf *elf;
	int fd;
	const char *memory;
	size_t size;
};

/* How much there was. */
static size_t read_at(const struct image *image, uint64_t offset, void *to, size_t n)
{
	ssize_t got;

	if (!image->memory) {
		got = offset <= INT64_MAX ? pread(image->fd, to, n, (off_t)offset) : -1;
		return got > 0 ? (size_t)got : 0;
	}
	if (offset >= image->size)
		return 0;
	n = n < image->size - offset ? n : image->size - offset;
	memcpy(to, image->memory + offset, n);
	return n;
}

/*
 * libelf reads whole tables, however large a header says that they are: these few numbers are
 * looked at before, and the tables are read here.
 */
static bool is_bounded(const struct image *image)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr narrow;
		Elf64_Ehdr wide;
	} header;

	if (read_at(image, 0, &header, sizeof(header)) != sizeof(header) ||
	    memcmp(header.ident, ELFMAG, SELFMAG))
		return false;
	if (header.ident[EI_CLASS] == ELFCLASS32)
		return header.narrow.e_phnum != PN_XNUM &&
		       (header.narrow.e_shnum || !header.narrow.e_shoff);
	return header.wide.e_phnum != PN_XNUM && (header.wide.e_shnum || !header.wide.e_shoff);
}

static bool image__open(struct image *image, int fd)
{
	*image = (struct image){ .fd = fd };
	if (fd >= 0 && is_bounded(image))
		image->elf = elf_begin(fd, ELF_C_READ, NULL);
	return image->elf;
}

/* The vDSO is one for all processes, and so in this one too. */
static bool image__open_vdso(struct image *image)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);

	*image = (struct image){ .fd = -1 };
	if (!header)
		return false;
	image->memory = (const char *)header;
	image->size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
	image->elf = elf_memory((char *)header, image->size);
	return image->elf;
}

/* A string table, of which a piece is in memory. */
struct strings {
	const struct image *image;
	uint64_t offset, size;
	uint64_t start; /* of the piece, from the offset */
	size_t n;
	char piece[4 * SYMBOL_NAME_BYTES];
};

/* The string at a place, without its NUL, or the beginning of a long one. */
static const char *strings__get(struct strings *s, uint64_t place, size_t *len)
{
	uint64_t most = SYMBOL_NAME_BYTES + 1, left;

	*len = 0;
	if (place >= s->size)
		return "";
	left = s->size - place;
	most = most < left ? most : left;
	if (place < s->start || place - s->start + most > s->n) {
		s->start = place;
		s->n = read_at(s->image, s->offset + place, s->piece,
			       left < sizeof(s->piece) ? left : sizeof(s->piece));
	}
	left = s->n - (place - s->start);
	most = most < left ? most : left;
	*len = strnlen(s->piece + (place - s->start), most);
	return s->piece + (place - s->start);
}

static void add_function(struct symbol_table *t, struct strings *strings, const GElf_Sym *sym)
{
	int type = GELF_ST_TYPE(sym->st_info);
	const char *name;
	size_t len;

	if ((type != STT_FUNC && type != STT_GNU_IFUNC) || sym->st_shndx == SHN_UNDEF ||
	    !sym->st_size)
		return;
	name = strings__get(strings, sym->st_name, &len);
	symbol_table__add(t, sym->st_value, sym->st_size, name, len);
}

/* Symbols are read in pieces of so many. */
#define SYMBOLS_AT_ONCE 1024

/* How many bytes there were. */
static size_t add_some(struct symbol_table *t, struct strings *strings, uint64_t offset,
		       uint64_t size)
{
	static const size_t most = SYMBOLS_AT_ONCE;
	union {
		Elf32_Sym narrow[SYMBOLS_AT_ONCE];
		Elf64_Sym wide[SYMBOLS_AT_ONCE];
	} read;
	bool wide = gelf_getclass(strings->image->elf) == ELFCLASS64;
	size_t one = wide ? sizeof(read.wide[0]) : sizeof(read.narrow[0]), n, i;
	GElf_Sym sym;

	n = read_at(strings->image, offset, &read, size < most * one ? size : most * one) / one;
	for (i = 0; i < n; i++) {
		if (wide)
			sym = read.wide[i];
		else
			sym = (GElf_Sym){
				.st_name = read.narrow[i].st_name,
				.st_info = read.narrow[i].st_info,
				.st_shndx = read.narrow[i].st_shndx,
				.st_value = read.narrow[i].st_value,
				.st_size = read.narrow[i].st_size,
			};
		add_function(t, strings, &sym);
	}
	return n * one;
}

static void add_functions(struct symbol_table *t, const struct image *image)
{
	struct strings strings = { .image = image };
	uint64_t left = SYMBOLS_BYTES, done, n;
	Elf_Scn *section = NULL;
	GElf_Shdr header, names;

	while ((section = elf_nextscn(image->elf, section)) && !t->cut) {
		if (!gelf_getshdr(section, &header) ||
		    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
		    !gelf_getshdr(elf_getscn(image->elf, header.sh_link), &names))
			continue;
		strings.offset = names.sh_offset;
		strings.size = names.sh_type == SHT_NOBITS ? 0 : names.sh_size;
		strings.start = strings.n = 0;
		for (done = 0; done < header.sh_size && !t->cut; done += n) {
			n = add_some(t, &strings, header.sh_offset + done, header.sh_size - done);
			if (!n)
				break;
			t->cut |= n > left;
			left -= n < left ? n : left;
		}
	}
}

static void find_code(struct module *m, Elf *elf)
{
	GElf_Phdr header;
	size_t i, n;

	if (elf_getphdrnum(elf, &n))
		return;
	m->code = calloc(n + 1, sizeof(*m->code));
	for (i = 0; m->code && i < n; i++) {
		if (gelf_getphdr(elf, (int)i, &header) && header.p_type == PT_LOAD &&
		    (header.p_flags & PF_X))
			m->code[m->n_code++] =
				(struct code){ header.p_offset, header.p_filesz, header.p_vaddr };
	}
}

/* The name of the file that a distribution's debug package has, by the build id. */
static bool debug_path(Elf *elf, char *path, size_t size)
{
	size_t i, j, n, place, name, text, left = NOTES_BYTES;
	GElf_Phdr header;
	GElf_Nhdr note;
	Elf_Data *data;
	const unsigned char *id;
	int len;

	if (elf_getphdrnum(elf, &n))
		return false;
	for (i = 0; i < n; i++) {
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE ||
		    header.p_filesz > left)
			continue;
		left -= header.p_filesz;
		data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
					    ELF_T_NHDR);
		for (place = 0; data && (place = gelf_getnote(data, place, &note, &name, &text));) {
			if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != sizeof("GNU") ||
			    memcmp((char *)data->d_buf + name, "GNU", sizeof("GNU")) ||
			    note.n_descsz < 2 || note.n_descsz > BUILD_ID_BYTES)
				continue;
			id = (unsigned char *)data->d_buf + text;
			len = snprintf(path, size, DEBUG_FOLDER "/%02x/", id[0]);
			for (j = 1; j < note.n_descsz; j++)
				len += snprintf(path + len, size - (size_t)len, "%02x", id[j]);
			snprintf(path + len, size - (size_t)len, ".debug");
			return true;
		}
	}
	return false;
}

static void add_debug_functions(struct symbol_table *t, Elf *elf)
{
	char path[sizeof(DEBUG_FOLDER) + 2 * BUILD_ID_BYTES + 16];
	struct image image;
	int fd;

	if (!debug_path(elf, path, sizeof(path)))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (image__open(&image, fd))
		add_functions(t, &image);
	elf_end(image.elf);
	file__close(&fd);
}

static struct version version_of(const struct stat *info)
{
	return (struct version){ info->st_mtim.tv_sec, info->st_mtim.tv_nsec, info->st_size };
}

static bool is_version(const struct module *m, const struct stat *info)
{
	struct version version = version_of(info);

	return m->version.changed_s == version.changed_s &&
	       m->version.changed_ns == version.changed_ns && m->version.size == version.size;
}

/* Read, not mapped: whoever owns the file may make it shorter at any time. */
static void module__load(struct symbols *s, struct module *m)
{
	struct image image = { 0 };
	struct stat info;

	m->loaded = true;
	/* One that was written since has lost its names; it is another one for who maps it now. */
	if (has_room(s) && elf_version(EV_CURRENT) != EV_NONE &&
	    (m->inode ? !fstat(m->fd, &info) && is_version(m, &info) && image__open(&image, m->fd)
		      : image__open_vdso(&image))) {
		find_code(m, image.elf);
		add_functions(&m->table, &image);
		add_debug_functions(&m->table, image.elf);
		finish_table(s, &m->table, false);
	}
	elf_end(image.elf);
	file__close(&m->fd);
}

/* The function at an offset in the file. */
static const char *module__find(struct symbols *s, struct module *m, uint64_t offset)
{
	size_t i;

	if (!m->loaded)
		module__load(s, m);
	for (i = 0; i < m->n_code; i++) {
		if (offset >= m->code[i].offset && offset - m->code[i].offset < m->code[i].size)
			return symbol_table__find(&m->table,
						  offset - m->code[i].offset + m->code[i].address);
	}
	return NULL;
}

static void module__free(void *node)
{
	struct module *m, *older;

	for (m = node; m; m = older) {
		older = m->older;
		file__close(&m->fd);
		free(m->code);
		symbol_table__free(&m->table);
		free(m);
	}
}

static int compare_modules(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	if (x->major != y->major)
		return x->major < y->major ? -1 : 1;
	return x->minor < y->minor ? -1 : x->minor > y->minor;
}

/* -- processes --------------------------------------------------------------------------------- */

/* A line of /proc/PID/maps. */
struct maps_line {
	uint64_t start, end, offset, inode;
	unsigned int major, minor;
	char access[8];
	const char *path;
};

static bool parse_maps_line(char *line, struct maps_line *m)
{
	int place = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start,
		   &m->end, m->access, &m->offset, &m->major, &m->minor, &m->inode, &place) < 7)
		return false;
	m->path = line + place;
	return true;
}

/*
 * The very file that is mapped, wherever it is and whether it still has a name; without
 * CAP_SYS_ADMIN the one that has its name now. `look` opens it or so; -1 if it cannot.
 */
static int at_mapped(uint32_t pid, const struct maps_line *line,
		     int (*look)(const char *path, void *result), void *result)
{
	char *path;
	int found;

	if (asprintf(&path, "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, line->start,
		     line->end) < 0)
		return -1;
	found = look(path, result);
	free(path);
	if (found >= 0 || errno != EPERM)
		return found;
	if (asprintf(&path, "/proc/%u/root%s", pid, line->path) < 0)
		return -1;
	found = look(path, result);
	free(path);
	return found;
}

static int look_at(const char *path, void *info)
{
	return stat(path, info);
}

static int open_at(const char *path, void *info)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, info))
		file__close(&fd);
	return fd;
}

/* Before others with its inode, if there are such. */
static struct module *add_module(struct symbols *s, const struct module *like,
				 struct module **others)
{
	struct module *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	*m = *like;
	if (others) {
		m->older = *others;
		*others = m;
	} else if (!tsearch(m, &s->modules, compare_modules)) {
		free(m);
		return NULL;
	}
	return m;
}

/* The module of a line, NULL for memory that has none. */
static struct module *find_module(struct symbols *s, uint32_t pid, const struct maps_line *line)
{
	struct module key = { .fd = -1 }, *m, **node;
	struct stat info;
	int versions = 0;

	if (line->inode) {
		key.major = line->major;
		key.minor = line->minor;
		key.inode = line->inode;
	} else if (strcmp(line->path, "[vdso]") || line->start <= UINT32_MAX) {
		return NULL;
	}
	node = tfind(&key, &s->modules, compare_modules);
	/* Of a process that has ended nobody can tell: most likely the file is what it was. */
	if (node && (!line->inode || at_mapped(pid, line, look_at, &info)))
		return *node;
	for (m = node ? *node : NULL; m; m = m->older, versions++) {
		if (is_version(m, &info))
			return m;
	}
	s->cut |= versions >= VERSIONS;
	if (versions >= VERSIONS)
		return NULL;
	if (line->inode) {
		key.fd = at_mapped(pid, line, open_at, &info);
		if (key.fd < 0)
			return NULL; /* it has ended, or may not be looked at */
		key.version = version_of(&info);
	}
	m = add_module(s, &key, node);
	if (!m)
		file__close(&key.fd);
	return m;
}

static bool process__add(struct process *p, const struct mapping *mapping)
{
	struct mapping *list;

	if (p->n == p->room) {
		p->room = p->room ? p->room * 2 : 16;
		list = reallocarray(p->mappings, p->room, sizeof(*list));
		if (!list) {
			p->room = p->n;
			return false;
		}
		p->mappings = list;
	}
	p->mappings[p->n++] = *mapping;
	return true;
}

/* Mappings come in the order of their addresses. */
static void read_mappings(struct symbols *s, uint32_t pid, struct process *p)
{
	struct mapping mapping;
	struct maps_line m;
	char path[32], *line = NULL;
	size_t room = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &room, file) > 0) {
		if (!parse_maps_line(line, &m) || !strchr(m.access, 'x'))
			continue;
		mapping = (struct mapping){ m.start, m.end, m.offset, find_module(s, pid, &m) };
		if (!mapping.module)
			continue;
		s->cut |= p->n == MAPPINGS;
		if (p->n == MAPPINGS || !process__add(p, &mapping))
			break;
	}
	free(line);
	if (file)
		fclose(file);
}

static void process__forget(struct symbols *s, struct process *p)
{
	s->bytes -= symbol_table__bytes(&p->compiled);
	free(p->mappings);
	file__close(&p->perf_fd);
	symbol_table__free(&p->compiled);
	*p = (struct process){ .next = p->next, .pid = p->pid, .round = p->round, .perf_fd = -1 };
}

static void process__free(void *node)
{
	struct process *p = node;

	free(p->mappings);
	file__close(&p->perf_fd);
	symbol_table__free(&p->compiled);
	free(p);
}

static int compare_processes(const void *a, const void *b)
{
	uint32_t x = ((const struct process *)a)->pid, y = ((const struct process *)b)->pid;

	return (x > y) - (x < y);
}

/* false if it has no memory (of its own). */
static bool identify(uint32_t pid, struct identity *identity)
{
	char path[32], text[1024], *words;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	file__close(&fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name before it may hold anything. */
	words = strrchr(text, ')');
	return words &&
	       sscanf(words,
		      ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		      "%*s %llu %llu %*s %*s %llu",
		      &identity->began, &identity->mapped, &identity->code) == 3 &&
	       identity->code;
}

/* Its PID where it was born, and its user. */
static bool inner_pid(uint32_t pid, uint32_t *inner, uid_t *owner)
{
	char path[32], *line = NULL, *last;
	struct stat info;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &info))
		return false;
	*owner = info.st_uid;
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	file = fopen(path, "re");
	while (file && !found && getline(&line, &room, file) > 0) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		last = strrchr(line, '\t');
		*inner = last ? (uint32_t)strtoul(last + 1, NULL, 10) : pid;
		found = true;
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static int open_regular(const char *path, uid_t owner)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat info;

	if (fd >= 0 &&
	    (fstat(fd, &info) || !S_ISREG(info.st_mode) || (info.st_uid && info.st_uid != owner)))
		file__close(&fd);
	return fd;
}

/* The perf map of a process: where the process sees it, else where we do. */
static int open_perf_map(uint32_t pid)
{
	uint32_t inner;
	char path[64];
	uid_t owner;
	int fd;

	if (!inner_pid(pid, &inner, &owner))
		return -1;
	snprintf(path, sizeof(path), "/proc/%u/root/tmp/perf-%u.map", pid, inner);
	fd = open_regular(path, owner);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", pid);
	return open_regular(path, owner);
}

/* A hexadecimal number, perhaps with 0x before it, and a blank after it. */
static bool take_hex(const char **p, uint64_t *value)
{
	const char *digits = *p;
	char *end;

	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
		digits += 2;
	if (strspn(digits, "0123456789abcdefABCDEF") - 1 >= 16)
		return false;
	*value = strtoull(digits, &end, 16);
	*p = end + 1;
	return *end == ' ';
}

/* A line ends with its line end, or a NUL; NULL if neither is there. */
static char *line_end(char *line, const char *end)
{
	size_t n = (size_t)(end - line);
	char *newline = memchr(line, '\n', n);
	char *nul = memchr(line, '\0', newline ? (size_t)(newline - line) : n);

	return nul ? nul : newline;
}

/* START SIZE NAME */
static void add_compiled(struct symbol_table *t, const char *line)
{
	uint64_t start, size;

	if (take_hex(&line, &start) && take_hex(&line, &size))
		symbol_table__add(t, start, size, line, strlen(line));
}

/* What a run-time compiler has written, a line for each function. */
static void read_perf_map(struct symbols *s, struct process *p)
{
	char text[4 * SYMBOL_NAME_BYTES + 1], *line, *end;
	size_t kept = 0, room = sizeof(text) - 1, done = 0;
	bool inside = false; /* of a line that is longer than there is room for */
	ssize_t n;

	while (p->perf_fd >= 0 && has_room(s) && !p->compiled.cut && done < PERF_MAP_BYTES) {
		n = pread(p->perf_fd, text + kept, room - kept, (off_t)done);
		if (n <= 0)
			break;
		done += (size_t)n;
		kept += (size_t)n;
		for (line = text; (end = line_end(line, text + kept)); line = end + 1) {
			*end = '\0';
			if (!inside)
				add_compiled(&p->compiled, line);
			inside = false;
		}
		kept -= (size_t)(line - text);
		memmove(text, line, kept);
		if (kept < room)
			continue;
		text[kept] = '\0';
		if (!inside)
			add_compiled(&p->compiled, text);
		inside = true;
		kept = 0;
	}
	text[kept] = '\0';
	if (!inside)
		add_compiled(&p->compiled, text);
	p->compiled.cut |= done >= PERF_MAP_BYTES;
	finish_table(s, &p->compiled, true);
}

static const char *process__find(struct symbols *s, struct process *p, uint64_t address)
{
	size_t low = 0, high = p->n, mid;
	const char *name = NULL;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (p->mappings[mid].start <= address)
			low = mid + 1;
		else
			high = mid;
	}
	if (low && address < p->mappings[low - 1].end) {
		const struct mapping *m = &p->mappings[low - 1];

		name = module__find(s, m->module, address - m->start + m->offset);
	}
	if (name)
		return name;
	if (!p->perf_read)
		read_perf_map(s, p);
	p->perf_read = true;
	return symbol_table__find(&p->compiled, address);
}

static struct process *known_process(struct symbols *s, uint32_t pid)
{
	struct process key = { .pid = pid };
	struct process **node = tfind(&key, &s->processes, compare_processes);

	return node ? *node : NULL;
}

const char *symbols__user(struct symbols *s, uint32_t pid, uint64_t address)
{
	struct process *p = known_process(s, pid);

	return p ? process__find(s, p, address) : NULL;
}

static struct process *find_process(struct symbols *s, uint32_t pid)
{
	struct process *p = known_process(s, pid);

	if (p)
		return p;
	p = malloc(sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct process){ .next = s->all, .pid = pid, .round = s->round, .perf_fd = -1 };
	if (!tsearch(p, &s->processes, compare_processes)) {
		free(p);
		return NULL;
	}
	s->all = p;
	return p;
}

void symbols__remember(struct symbols *s, uint32_t pid, bool again)
{
	struct process *p = known_process(s, pid);
	struct process fresh = { .pid = pid, .round = s->round, .perf_fd = -1 };
	struct identity identity = { 0 };

	if (p)
		p->round = s->round;
	if (!identify(pid, &identity))
		return;
	p = find_process(s, pid);
	if (!p)
		return;
	if (again || memcmp(&p->identity, &identity, sizeof(identity))) {
		read_mappings(s, pid, &fresh);
		if (fresh.n) { /* else it is ending */
			process__forget(s, p);
			fresh.next = p->next;
			*p = fresh;
			p->identity = identity;
		}
	}
	if (p->n && p->perf_fd < 0)
		p->perf_fd = open_perf_map(pid);
}

void symbols__end_round(struct symbols *s)
{
	struct process **at = &s->all, *p;

	while ((p = *at)) {
		if (s->round - p->round < ROUNDS) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		tdelete(p, &s->processes, compare_processes);
		process__forget(s, p);
		free(p);
	}
	s->round++;
}

bool symbols__cut(const struct symbols *s)
{
	return s->cut;
}

struct symbols *symbols__new(void)
{
	struct symbols *s = calloc(1, sizeof(*s));
	struct rlimit files;

	/* Every file that is mapped anywhere is kept open until it is read, or the end. */
	if (s && !getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	return s;
}

void symbols__free(struct symbols *s)
{
	if (!s)
		return;
	tdestroy(s->processes, process__free);
	tdestroy(s->modules, module__free);
	symbol_table__free(&s->kernel);
	free(s);
}
