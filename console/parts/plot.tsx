import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { formatRate } from './format.ts'
import { zone } from './time.tsx'

export type Line = {
  readonly label: string
  /** The name of a colour of styles.css. */
  readonly colour: string
  /** Told apart without colours too. */
  readonly dash?: readonly number[]
  /** One value for each time; null where nothing is known. */
  readonly values: readonly (number | null)[]
}

type Props = {
  readonly label: string
  /** In seconds since 1970, ascending. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
}

const height = 190

/** Rates over time. It moves as its values change; what it shows is said in words to those who cannot see it. */
export function Plot({ label, times, lines }: Props) {
  const root = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const shape = lines.map((line) => line.label).join() + zone.value

  useEffect(() => {
    const element = root.current
    if (element === null) return
    const made = new uPlot(optionsFor(lines, element.clientWidth), dataOf(times, lines), element)
    plot.current = made
    const resize = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }))
    resize.observe(element)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    const repaint = (): void => made.redraw(false, true)
    scheme.addEventListener('change', repaint)
    return () => {
      resize.disconnect()
      scheme.removeEventListener('change', repaint)
      made.destroy()
    }
  }, [shape])
  useEffect(() => plot.current?.setData(dataOf(times, lines)), [times, lines])

  const words = lines.map((line) => `${line.label} ${formatRate(line.values.at(-1) ?? null)}`).join(', ')
  return <div ref={root} class="plot" role="img" aria-label={`${label}. Now: ${words}.`} />
}

function dataOf(times: readonly number[], lines: readonly Line[]): uPlot.AlignedData {
  return [[...times], ...lines.map(({ values }) => [...values])]
}

function optionsFor(lines: readonly Line[], width: number): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: () => colour('--quiet'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { stroke: () => colour('--line'), width: 1 },
    font: '12px system-ui',
  }
  return {
    width,
    height,
    ...(zone.peek() === 'utc'
      ? { tzDate: (at: number) => uPlot.tzDate(new Date(at * 1_000), 'Etc/UTC') }
      : {}),
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _min, max) => [0, Math.max(1, max * 1.1)] } },
    axes: [
      { ...axis, values: '{HH}:{mm}' },
      { ...axis, size: 56, values: (_plot, splits) => splits.map((each) => formatRate(each)) },
    ],
    series: [
      { value: '{HH}:{mm}' },
      ...lines.map(({ label, colour: name, dash }) => ({
        label,
        stroke: () => colour(name),
        width: 2,
        ...(dash === undefined ? {} : { dash: [...dash] }),
        points: { show: false },
        value: (_plot: uPlot, value: number | null) => formatRate(value),
      })),
    ],
  }
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
