// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_doc {
	json_t *parsed; /* the strings are its own */
	struct json *nodes; /* all of them; the first is the root */
	size_t n;
};

/* jansson refuses to nest deeper than 2048, so recursion ends. */
static size_t count_nodes(const json_t *json)
{
	const char *name;
	json_t *item;
	size_t i, n = 1;

	if (json_is_object(json)) {
		json_object_foreach((json_t *)json, name, item) n += count_nodes(item);
	} else {
		json_array_foreach(json, i, item) n += count_nodes(item);
	}
	return n;
}

static struct json *add_node(struct json_doc *doc, const json_t *json, const char *name)
{
	struct json *node = &doc->nodes[doc->n++], **next = &node->child;
	const char *member;
	json_t *item;
	size_t i;

	node->name = name;
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		node->type = JSON_IS_OBJECT;
		json_object_foreach((json_t *)json, member, item)
		{
			*next = add_node(doc, item, member);
			next = &(*next)->next;
		}
		break;
	case JSON_ARRAY:
		node->type = JSON_IS_ARRAY;
		json_array_foreach(json, i, item)
		{
			*next = add_node(doc, item, NULL);
			next = &(*next)->next;
		}
		break;
	case JSON_STRING:
		node->type = JSON_IS_STRING;
		node->string = json_string_value(json);
		break;
	case JSON_INTEGER:
		node->type = JSON_IS_INT;
		node->integer = json_integer_value(json);
		break;
	case JSON_REAL:
		node->type = JSON_IS_REAL;
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		node->type = JSON_IS_BOOL;
		node->boolean = json_is_true(json);
		break;
	case JSON_NULL:
		node->type = JSON_IS_NULL;
		break;
	}
	return node;
}

struct json_doc *json_doc__parse(const char *text, size_t len, char why[256])
{
	struct json_doc *doc = calloc(1, sizeof(*doc));
	json_error_t error;

	if (!doc)
		goto no_memory;
	while (len && !text[len - 1])
		len--;
	doc->parsed = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!doc->parsed) {
		snprintf(why, 256, "line %d, column %d: %s", error.line, error.column, error.text);
		free(doc);
		return NULL;
	}
	doc->nodes = calloc(count_nodes(doc->parsed), sizeof(*doc->nodes));
	if (!doc->nodes)
		goto no_memory;
	add_node(doc, doc->parsed, NULL);
	return doc;
no_memory:
	json_doc__free(doc);
	snprintf(why, 256, "out of memory");
	return NULL;
}

void json_doc__free(struct json_doc *doc)
{
	if (!doc)
		return;
	json_decref(doc->parsed);
	free(doc->nodes);
	free(doc);
}

const struct json *json_doc__root(const struct json_doc *doc)
{
	return doc->nodes;
}

const struct json *json__get(const struct json *object, const char *name)
{
	const struct json *item;

	if (!object || object->type != JSON_IS_OBJECT)
		return NULL;
	json__for_each(item, object)
	{
		if (!strcmp(item->name, name))
			return item->type == JSON_IS_NULL ? NULL : item;
	}
	return NULL;
}

bool json__parse_int(const char *text, json_int *value)
{
	bool negative = *text == '-';
	json_int v = 0;

	text += negative;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || v > (json_int)1 << 100)
			return false;
		v = v * 10 + (*text - '0');
	}
	*value = negative ? -v : v;
	return true;
}

bool json__to_int(const struct json *json, json_int *value)
{
	if (json->type == JSON_IS_STRING)
		return json__parse_int(json->string, value);
	if (json->type != JSON_IS_INT)
		return false;
	*value = json->integer;
	return true;
}
