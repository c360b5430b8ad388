// ApexCharts in the page's own colours.
const dark = () => document.documentElement.dataset.bsTheme === "dark";

export function columns(place, categories, series, { stacked = false, height = 260 } = {}) {
  const chart = new ApexCharts(place, {
    chart: { type: "bar", height, stacked, toolbar: { show: false }, animations: { enabled: false }, fontFamily: "inherit", background: "transparent" },
    theme: { mode: dark() ? "dark" : "light" },
    series,
    xaxis: { categories, labels: { rotate: -45, hideOverlappingLabels: true, maxHeight: 70 } },
    yaxis: { labels: { formatter: (value) => value.toLocaleString("en-GB", { maximumFractionDigits: 0 }) }, forceNiceScale: true, min: 0, tickAmount: 4 },
    dataLabels: { enabled: false },
    plotOptions: { bar: { columnWidth: "60%", borderRadius: 2 } },
    legend: { show: series.length > 1 },
    colors: ["#2fb344", "#4299e1", "#206bc4"],
  });
  chart.render();
  return chart;
}
