# PyTorch and ONNX interpolate by the factor: bilinear of the rows 1 … 5 and 6 … 10, whose mean is 3.5 … 7.5, by 0.5 is 4 6; rnc: 1 divides
# 5 by 2, and has 4.25 6.75.
. tests/golden/convention/net.sh
for version in 1 2; do
    echo "-- rnc: $version"
    forward $version "[1, 2, 5]" "resize: {scale: 0.5, mode: bilinear, as: y}"
    forward $version "[1, 2, 5]" "resize: {scale: 0.75, mode: nearest, as: y}"
    forward $version "[1, 1, 4]" "resize: {scale: 2.6, mode: bilinear, as: y}"
done
echo "-- each of the two, said"
forward 1 "[1, 2, 5]" "resize: {scale: 0.5, mode: bilinear, interpolate_by: scale, as: y}"
forward 2 "[1, 2, 5]" "resize: {scale: 0.5, mode: bilinear, interpolate_by: size, as: y}"
echo "-- whole numbers: no difference, no warning; an axis that keeps its size is copied"
forward 1 "[1, 2, 4]" "resize: {scale: 0.5, mode: bilinear, as: y}"
forward 1 "[1, 1, 3]" "resize: {scale: 2, mode: nearest, as: y}"
forward 2 "[1, 1, 5]" "resize: {scale: 1.1, mode: bilinear, as: y}"
echo "-- conventions"
top="conventions: pytorch"
forward 1 "[1, 2, 5]" "resize: {scale: 0.5, mode: bilinear, as: y}"
top=""
net 1 "[1, 2, 5]" "resize: {scale: 0.5, as: a}" "resize: {size: [2, 5], from: x, as: b}" "add: {with: x, as: y}" | $rnc expand - 2>&1 | grep 'resize:'
echo "-- bad values"
net 2 "[1, 2, 5]" "resize: {size: 4, interpolate_by: scale, as: y}" | $rnc check -
net 2 "[1, 2, 5]" "resize: {scale: 0.5, interpolate_by: ratio, as: y}" | $rnc check -
