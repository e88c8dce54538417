# Every colour of a plan's values and lines is in its legend, and the legend lies within the picture.
for m in "resnet20 -p n=1" "resnet20 -p n=1 --train --batch 8" "unet -p size=64 --train --batch 1"; do
    $rnc plan $m -o $tmp/p.svg >/dev/null
    python3 - <<END
import re
s = open("$tmp/p.svg").read()
drawn = set(re.findall(r'<g><rect class="(k\d)"', s)) | {"live", "peak", "bound"}
keys = set(re.findall(r'<rect class="(k\d)" x="\d+" y="64"', s)) | set(re.findall(r'<line class="(\w+)" x1="\d+" x2="\d+" y1="92"', s))
labels = re.findall(r'<text class="axis" x="(\d+)" y="(?:75|96)">([^<]*)', s)
print("$m:", "all are there" if drawn == keys else (drawn, keys), max(int(x) + 7 * len(t) for x, t in labels) <= 1400)
print(", ".join(t for _, t in labels))
END
done
