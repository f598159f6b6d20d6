// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
// Zoom by click, search by Ctrl-F, F3 or the box; #search=TEXT in the address searches at once.
"use strict";
(function () {
	const frames = Array.from(document.querySelectorAll("#frames > svg"));
	const total = Number(document.getElementById("frames").dataset.total);
	const box = document.getElementById("search");
	const matched = document.getElementById("matched");
	const unzoom = document.getElementById("unzoom");
	const nodes = frames.map((frame) => ({
		frame,
		start: Number(frame.dataset.start),
		value: Number(frame.dataset.value),
		depth: Number(frame.dataset.depth),
		text: frame.querySelector("text"),
		name: frame.querySelector("text").textContent,
	}));
	const least = 24;	// pixels that a name needs, to be more than noise

	function fit() {
		for (const node of nodes) {
			const width = window.innerWidth * parseFloat(node.frame.getAttribute("width")) / 100;
			node.text.style.display = width < least ? "none" : "";
		}
	}

	function zoom(to) {
		for (const node of nodes) {
			const above = node.depth < to.depth;
			const inside = node.start < to.start + to.value && to.start < node.start + node.value;
			node.frame.style.display = inside ? "" : "none";
			if (!inside)
				continue;
			const x = above ? 0 : (node.start - to.start) / to.value;
			const width = above ? 1 : node.value / to.value;
			node.frame.setAttribute("x", 100 * x + "%");
			node.frame.setAttribute("width", 100 * width + "%");
			node.frame.classList.toggle("parent", above);
		}
		unzoom.classList.toggle("on", to.value < total);
		fit();
	}

	// Frames inside of one another are counted once.
	function search(text) {
		const found = [];
		let pattern = null;
		try {
			pattern = text ? new RegExp(text) : null;
		} catch (error) {
			pattern = { test: (name) => name.includes(text) };
		}
		for (const node of nodes) {
			const match = pattern !== null && pattern.test(node.name);
			node.frame.classList.toggle("match", match);
			if (match)
				found.push(node);
		}
		found.sort((a, b) => a.start - b.start || b.value - a.value);
		let sum = 0, end = 0;
		for (const node of found) {
			const last = node.start + node.value;
			sum += Math.max(last - Math.max(end, node.start), 0);
			end = Math.max(end, last);
		}
		matched.textContent = pattern === null ? "" : "matched: " + (100 * sum / total).toFixed(2) + "%";
	}

	const root = nodes.find((node) => node.depth === 0);
	if (!root)
		return;
	for (const node of nodes)
		node.frame.addEventListener("click", () => zoom(node));
	unzoom.addEventListener("click", () => zoom(root));
	box.addEventListener("input", () => search(box.value));
	window.addEventListener("keydown", (event) => {
		if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key === "f")) {
			event.preventDefault();
			box.focus();
			box.select();
		} else if (event.key === "Escape") {
			box.value = "";
			search("");
			zoom(root);
		}
	});
	window.addEventListener("resize", fit);
	fit();
	const wanted = new URLSearchParams(location.hash.slice(1)).get("search");
	if (wanted) {
		box.value = wanted;
		box.setAttribute("value", wanted);
		search(wanted);
	}
})();
