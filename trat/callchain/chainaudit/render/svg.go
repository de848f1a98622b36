package render

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// mark is what a reader sees of a hop at a glance. Its text is a class of the page's style.
type mark string

const (
	markStart mark = "start" // where the transaction began: not a hop
	markGood  mark = "good"  // verified
	markNote  mark = "note"  // to be known, but in order
	markWarn  mark = "warn"  // wrong, unless it has an innocent cause
	markBad   mark = "bad"   // wrong
	markMore  mark = "more"  // stands for hops that are left out
)

// node is a workload in the tree of one transaction, below the call by which it was reached.
type node struct {
	hop             int // number of the call; 0 where the transaction began
	name            string
	service, method string
	remark          string // in place of service, if there is something unusual about the call
	caption, after  string // second line in the box: the verdict, and the time if there is room
	title           string // all of it in one sentence
	mark            mark
	missing         bool // no server recorded the call
	calls           []*node
}

// picture is a laid-out tree: everything is in pixels, from the top left.
type picture struct {
	ID, Class     string
	Title, Desc   string
	Width, Height int
	Boxes         []box
	Arrows        []arrow
}

type box struct {
	X, Y, Width, Height int
	Name, Caption       string
	Title               string
	Mark                mark
	Missing, Again      bool
	// Hop and Link are the number of the call and the address of its row; 0 and "" where
	// there is none.
	Hop  int
	Link string
	// Below says that what the workload called is drawn further down.
	Below bool
}

// Places inside a box.
func (b box) MarkX() int    { return b.X + 9 }
func (b box) MarkY() int    { return b.Y + 7 }
func (b box) TextX() int    { return b.X + 31 }
func (b box) NameY() int    { return b.Y + 20 }
func (b box) CaptionY() int { return b.Y + 37 }
func (b box) HopX() int     { return b.X + 17 }
func (b box) HopY() int     { return b.Y + 38 }
func (b box) BelowY() int   { return b.Y + b.Height + 14 }

type arrow struct {
	Path            string
	Head            string
	X, Y            int // of the label
	Method, Service string
	Mark            mark
	Missing         bool
}

// ServiceY is where the second line of the label is, below the arrow.
func (a arrow) ServiceY() int { return a.Y + 20 }

// shape is one way to lay a tree out.
type shape struct {
	class     string
	step      int // from the left side of a box to that of the boxes it called
	boxWidth  int
	boxHeight int
	rowHeight int
	columns   int // levels of the tree, before the rest goes below
	// indented puts every box in a row of its own, as in a list of files; otherwise the first
	// call is in the row of its caller.
	indented bool
}

const (
	wideWidth   = 1288 // what a page has on a desktop
	narrowWidth = 448  // and on a telephone turned sideways, or on paper
	boxHeight   = 48
	// margin is around the picture, so that no line is cut.
	margin = 2
	// Widths of letters in a wide typeface, in tenths of a pixel: of names, of labels beside
	// an arrow and of second lines.
	letter = 82
	label  = 70
	small  = 66
	// From a box to where its arrows part, and from the line of an arrow to its point.
	trunkGap  = 14
	arrowHead = 7
	// What is in a box and in a gap beside the letters, in pixels.
	boxRoom     = 42
	captionRoom = 38
	gapRoom     = 40
)

// wideShape goes from left to right, with columns as wide as the names need.
func wideShape(roots []*node) shape {
	// The smallest sizes are those of which five columns fit.
	const most, leastBox, leastGap = 5, 158, 118
	longest := extent(roots)
	columns := min(longest.depth, most)
	box := min(max(letter*longest.name/10+boxRoom, small*longest.caption/10+captionRoom, leastBox), 260)
	gap := min(max(label*longest.method/10+gapRoom, leastGap), 236)
	if width, room := columns*box+(columns-1)*gap, wideWidth-2*margin; width > room {
		box = max(box*room/width, leastBox)
		gap = max((room-columns*box)/max(columns-1, 1), leastGap)
		box = min(box, (room-(columns-1)*gap)/columns)
	}
	return shape{
		class: "wide", step: box + gap, boxWidth: box, boxHeight: boxHeight, rowHeight: 70, columns: columns,
	}
}

// narrowShape goes downwards.
func narrowShape() shape {
	const box, indent = 250, 22
	return shape{
		class: "narrow", step: indent, boxWidth: box, boxHeight: boxHeight, rowHeight: 78,
		columns: (narrowWidth-2*margin-box)/indent + 1, indented: true,
	}
}

// lengths are those of the longest texts in trees, in letters, and the number of levels.
type lengths struct{ name, caption, method, depth int }

func extent(nodes []*node) (l lengths) {
	for _, n := range nodes {
		below := extent(n.calls)
		l.name = max(l.name, below.name, utf8.RuneCountInString(n.name))
		l.caption = max(l.caption, below.caption, utf8.RuneCountInString(n.caption))
		l.method = max(l.method, below.method, utf8.RuneCountInString(n.method), utf8.RuneCountInString(orElse(n.remark, n.service)))
		l.depth = max(l.depth, below.depth+1)
	}
	return l
}

// layout places the boxes of one tree.
type layout struct {
	shape
	link func(hop int) string
	out  *picture
	// later are boxes in the last column whose calls go below.
	later []*node
}

// draw lays out the trees below roots, one beneath the other. link returns the address of a
// hop's row in the table.
func draw(roots []*node, s shape, link func(hop int) string) *picture {
	const apart = 20 // from what goes on below to what is above
	l := layout{shape: s, link: link, out: &picture{Class: s.class}}
	y := margin
	if !l.indented {
		y += 8 // room for the label above the first arrow
	}
	for _, n := range roots {
		y = l.place(n, 0, y, false)
	}
	for len(l.later) > 0 {
		n := l.later[0]
		l.later = l.later[1:]
		y = l.place(n, 0, y+apart, true)
	}
	for _, b := range l.out.Boxes {
		l.out.Width = max(l.out.Width, b.X+b.Width+margin)
		l.out.Height = max(l.out.Height, b.Y+b.Height+margin)
	}
	return l.out
}

// place draws n and what it called, from y downwards, and returns where the next box goes.
// With again, n has been drawn before.
func (l *layout) place(n *node, column, y int, again bool) int {
	b := l.box(n, column, y)
	b.Again = again
	b.Below = len(n.calls) > 0 && column == l.columns-1 && l.columns > 1
	if again {
		b.Caption = "continued from above"
	}
	l.out.Boxes = append(l.out.Boxes, b)
	next := y + l.rowHeight
	if b.Below {
		l.later = append(l.later, n)
		if l.indented {
			next += 16 // for saying so, above the label of the next arrow
		}
		return next
	}
	if len(n.calls) == 0 {
		return next
	}
	if l.indented {
		y = next
	}
	// Each arrow begins where the one before left the trunk, so that none is drawn over another.
	x := b.X + l.boxWidth
	trunk, from := x+trunkGap, b.Y+l.boxHeight/2
	if l.indented {
		trunk, from = b.X+l.step/2, b.Y+l.boxHeight
		x = trunk
	}
	for _, c := range n.calls {
		a := l.arrow(c, column+1, y)
		a.Path = fmt.Sprintf("M%d %dH%dV%dH%d", x, from, trunk, y+l.boxHeight/2, b.X+l.step-arrowHead)
		l.out.Arrows = append(l.out.Arrows, a)
		x, from = trunk, y+l.boxHeight/2
		y = l.place(c, column+1, y, false)
	}
	return y
}

func (l *layout) box(n *node, column, y int) box {
	b := box{
		X: margin + column*l.step, Y: y, Width: l.boxWidth, Height: l.boxHeight,
		Name: clipStart(n.name, (l.boxWidth-boxRoom)*10/letter), Caption: n.caption, Title: n.title,
		Mark: n.mark, Missing: n.missing, Hop: n.hop,
	}
	room := (l.boxWidth - captionRoom) * 10 / small
	if n.after != "" && utf8.RuneCountInString(n.caption+n.after)+3 <= room {
		b.Caption += " · " + n.after
	}
	b.Caption = clipEnd(b.Caption, room)
	if n.hop > 0 {
		b.Link = l.link(n.hop)
	}
	return b
}

// arrow is to the box of c at y, but for its path.
func (l *layout) arrow(c *node, column, y int) arrow {
	x, middle := margin+column*l.step, y+l.boxHeight/2
	a := arrow{
		Mark: c.mark, Missing: c.missing,
		Head: fmt.Sprintf("M%d %dl-8 -4.5v9z", x-1, middle),
	}
	if l.indented {
		a.X, a.Y = x+2, y-7
		a.Method = clipEnd(strings.TrimSpace(joined(c.service, c.method)+" "+c.remark), (narrowWidth-a.X)*10/label)
		return a
	}
	a.X, a.Y = x-l.step+l.boxWidth+trunkGap+6, middle-6
	room := (x - a.X - 10) * 10 / label
	a.Method, a.Service = clipEnd(c.method, room), clipEnd(orElse(c.remark, c.service), room)
	return a
}

// clipEnd shortens text to at most limit letters.
func clipEnd(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:max(limit-1, 0)]) + "…"
}

// clipStart is clipEnd from the other side: what comes last tells two SPIFFE IDs apart.
func clipStart(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	runes := []rune(text)
	kept := string(runes[len(runes)-max(limit-1, 0):])
	if _, segment, ok := strings.Cut(kept, "/"); ok && len(segment) > len(kept)/2 {
		kept = "/" + segment
	}
	return "…" + kept
}
