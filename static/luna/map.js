// The map of a trail: numbered places in their order, with or without tiles.
(() => {
  const map = document.getElementById("map");
  const data = document.getElementById("map-positions");
  if (!map || !data || !window.L) return;
  const MOST_LINES = 40;
  const places = JSON.parse(data.textContent);
  const chart = L.map(map, { attributionControl: Boolean(map.dataset.attribution), zoomAnimation: false, fadeAnimation: false });
  if (chart.attributionControl) chart.attributionControl.setPrefix(false);

  function text(...lines) {
    const box = document.createElement("div");
    for (const line of lines) box.append(Object.assign(document.createElement("div"), { textContent: line }));
    return box;
  }

  // Attributions of Leaflet are HTML, so the text of the setting is escaped.
  const escaped = text(map.dataset.attribution).firstElementChild.innerHTML;
  if (map.dataset.tiles) L.tileLayer(map.dataset.tiles, { attribution: escaped, maxZoom: 19 }).addTo(chart);

  const points = places.map((place) => [place.latitude, place.longitude]);
  L.polyline(points, { className: "wb-path", weight: 2 }).addTo(chart);
  places.forEach((place, index) => {
    const marker = L.circleMarker(points[index], { radius: 9, className: "wb-place" }).addTo(chart);
    const where = `${place.latitude.toFixed(5)}°, ${place.longitude.toFixed(5)}°`;
    marker.bindPopup(text(`${place.number}. ${place.text}`, place.time, where));
    marker.bindTooltip(text(String(place.number)), { permanent: true, direction: "center", className: "wb-number" });
  });
  chart.fitBounds(L.latLngBounds(points).pad(0.2), { maxZoom: 16 });

  // Without tiles, lines of round degrees show the scale.
  if (!map.dataset.tiles) {
    const lines = L.layerGroup().addTo(chart);
    const draw = () => {
      lines.clearLayers();
      const bounds = chart.getBounds();
      const width = Math.max(bounds.getEast() - bounds.getWest(), bounds.getNorth() - bounds.getSouth(), 1e-4);
      const step = 10 ** Math.floor(Math.log10(width / 2));
      const digits = Math.max(0, -Math.floor(Math.log10(step)));
      const line = (ends, label, at) => {
        L.polyline(ends, { className: "wb-grid", weight: 1, interactive: false }).addTo(lines);
        const icon = L.divIcon({ className: "wb-degrees", html: text(label), iconSize: null });
        L.marker(at, { icon, interactive: false, keyboard: false }).addTo(lines);
      };
      for (let count = 0, x = Math.ceil(bounds.getWest() / step) * step; x < bounds.getEast() && count < MOST_LINES; x += step, count++)
        line([[bounds.getSouth(), x], [bounds.getNorth(), x]], `${x.toFixed(digits)}°`, [bounds.getSouth(), x]);
      for (let count = 0, y = Math.ceil(bounds.getSouth() / step) * step; y < bounds.getNorth() && count < MOST_LINES; y += step, count++)
        line([[y, bounds.getWest()], [y, bounds.getEast()]], `${y.toFixed(digits)}°`, [y, bounds.getWest()]);
    };
    chart.on("moveend", draw);
    draw();
  }
})();
